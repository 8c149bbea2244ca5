/*
 * Draws the toasts. Promises: screen readers hear them; each can be closed. Does not cover: what is said (toasts.ts).
 */
import { useCell } from "../cell";
import { Icon } from "./icons";
import { dismiss, toasts } from "./toasts";

export function ToastCorner() {
  const shown = useCell(toasts);
  return (
    <div className="toasts" role="status" aria-label="Messages">
      {shown.map((toast) => (
        <div className={`toast ${toast.tone}`} key={toast.id}>
          <div className="toast-text">
            <p>{toast.message}</p>
            {toast.nextStep && <p className="toast-step">{toast.nextStep}</p>}
          </div>
          {toast.action && (
            <button type="button" className="button" onClick={toast.action.run}>
              {toast.action.label}
            </button>
          )}
          <button type="button" className="icon-button small" aria-label="Close" onClick={() => dismiss(toast.id)}>
            <Icon name="close" />
          </button>
        </div>
      ))}
    </div>
  );
}

/*
 * What stands where a conversation will be: what this is, where it runs, and four things to ask first.
 * Promises: says only what is true of every home: it runs on this machine, nothing leaves it.
 */
import { Flame } from "../page/icons";

const EXAMPLES = [
  { ask: "What are you?", why: "Meet the model that is built in" },
  { ask: "How do I get a real model?", why: "From small to as large as fits" },
  { ask: "Explain homefire key", why: "Let other programs in, by name" },
  { ask: "Write JSON for a cup of tea", why: "Something for a program to read" },
];

export function Empty({ onAsk }: { onAsk: (text: string) => void }) {
  return (
    <div className="thread-frame">
      <div className="thread">
        <section className="empty" aria-labelledby="empty-title">
          <Flame className="empty-flame" />
          <h1 id="empty-title">Your own fire, in your own house.</h1>
          <p className="empty-text">
            Homefire is an AI that runs on this machine. What you write and what it answers stay here: nothing leaves.
          </p>
          <ul className="examples" aria-label="Things to ask">
            {EXAMPLES.map(({ ask, why }) => (
              <li key={ask}>
                <button type="button" className="example" onClick={() => onAsk(ask)}>
                  <span className="example-ask">{ask}</span>
                  <span className="example-why">{why}</span>
                </button>
              </li>
            ))}
          </ul>
        </section>
      </div>
    </div>
  );
}

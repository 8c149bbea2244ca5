/*
 * The shelf of models: everything the models page knows and does, in one place.
 * Promises: downloads go on whatever is looked at; an answer to an older search never overwrites a newer one's; a role that
 * was proposed is set when its model has come; whatever fails is said once, with its next step.
 * Does not cover: drawing; the list of installed models, which the desk holds for the chat too.
 */
import { Cell } from "../cell";
import type { Desk } from "../conversation/desk";
import { room } from "../conversation/route";
import { say, sayError } from "../page/toasts";
import type { ErrorBody } from "../wire/contract";
import {
  errorIn,
  modelCalls,
  readWork,
  type Choice,
  type Download,
  type Found,
  type Proposal,
  type PullRequest,
  type Report,
} from "../wire/models";
import { asErrorBody, isAbort } from "../wire/request";
import { nameAmong } from "./proposal";
import { isActive, Transfers } from "./transfers";
import { due, keepWanted, readWanted } from "./wanted";
import { roleName } from "./words";

/** Tokens of context that the catalogue's own judgements are made for; no model is asked for more than it was trained on. */
const USUAL_CONTEXT = 4096;

export interface CatalogueView {
  query: string;
  capability: string;
  rows: readonly Found[];
  loading: boolean;
  /** Whether anything was ever loaded: before that, an empty list means nothing. */
  loaded: boolean;
  error: ErrorBody | null;
}

/** The re-reading of one model's files. */
export type Check = { state: "running"; done: number; total: number } | { state: "good" } | { state: "bad"; files: string[] };

export class Shelf {
  readonly desk: Desk;
  readonly transfers = new Transfers((download) => this.ended(download));
  readonly catalogue = new Cell<CatalogueView>({
    query: "",
    capability: "",
    rows: [],
    loading: false,
    loaded: false,
    error: null,
  });
  readonly proposal = new Cell<Proposal | null>(null);
  readonly checks = new Cell<ReadonlyMap<string, Check>>(new Map());
  /** Names for which something was asked that is not answered yet. */
  readonly asking = new Cell<ReadonlySet<string>>(new Set());
  private readonly reports = new Map<string, Promise<Report | null>>();
  private lastReport: Promise<unknown> = Promise.resolve();
  private searching: AbortController | null = null;
  private readonly checking = new Map<string, AbortController>();

  constructor(desk: Desk) {
    this.desk = desk;
  }

  /** Everything afresh: when the page is opened, and when the daemon has come back. */
  async refresh(): Promise<void> {
    // What is free may have changed since.
    this.reports.clear();
    await Promise.all([this.desk.refreshModels(), this.refreshCatalogue(), this.refreshProposal()]);
    await this.settleRoles();
  }

  search(query: string, capability: string): Promise<void> {
    this.catalogue.set({ ...this.catalogue.get(), query, capability });
    return this.refreshCatalogue();
  }

  async refreshCatalogue(): Promise<void> {
    this.searching?.abort();
    const searching = new AbortController();
    this.searching = searching;
    const { query, capability } = this.catalogue.get();
    this.catalogue.set({ ...this.catalogue.get(), loading: true });
    try {
      const rows = await modelCalls.catalogue(query, capability, searching.signal);
      if (searching.signal.aborted) return;
      this.catalogue.set({ ...this.catalogue.get(), rows, loading: false, loaded: true, error: null });
    } catch (error) {
      if (isAbort(error)) return;
      this.catalogue.set({ ...this.catalogue.get(), loading: false, error: asErrorBody(error) });
    }
  }

  /** What can be said of this machine without asking anybody outside; what was proposed before stays. */
  async refreshProposal(): Promise<void> {
    if (this.proposal.get() !== null) return;
    try {
      this.proposal.set(await modelCalls.proposal(true));
    } catch {
      // The page does without: everything that is proposed stands in the catalogue too.
    }
  }

  /** Asks for the whole proposal, for which the daemon looks whether hub and package index answer. */
  async propose(): Promise<boolean> {
    return this.ask("proposal", async () => this.proposal.set(await modelCalls.proposal(false)));
  }

  /** How a quantization of a row would run here, asked once; one question at a time, for there are many rows. */
  report({ name, context }: Pick<Found, "name" | "context">, quantization: string): Promise<Report | null> {
    const key = `${name}:${quantization}`;
    const known = this.reports.get(key);
    if (known) return known;
    const found = this.lastReport.then(() => modelCalls.report(name, quantization, Math.min(context || USUAL_CONTEXT, USUAL_CONTEXT))).catch(() => null);
    this.lastReport = found;
    this.reports.set(key, found);
    return found;
  }

  /** Asks for a model; null: the daemon did not take it, and that was said. */
  async pull(asked: PullRequest): Promise<Download | null> {
    let download: Download | null = null;
    await this.ask(asked.source, async () => {
      download = await modelCalls.pull(asked);
      this.transfers.put(download);
      void this.transfers.refresh();
    });
    return download;
  }

  async steer(download: Download, how: "pause" | "resume" | "cancel"): Promise<boolean> {
    return this.ask(`download ${download.id}`, () => this.transfers.steer(download.id, how));
  }

  /** Gets all that is proposed and is not here, and gives each role its model: now, or when it has come. */
  async takeProposal(): Promise<void> {
    const proposal = this.proposal.get();
    if (!proposal) return;
    const wanted: Record<string, string> = { ...readWanted() };
    const asked = new Map<string, Download | null>();
    for (const choice of proposal.choices) {
      const key = `${choice.model} ${choice.quantization}`;
      const here = nameAmong(choice, this.installed());
      if (here === undefined && !asked.has(key)) asked.set(key, await this.pull(requestFor(choice)));
      const name = here ?? asked.get(key)?.target;
      if (name !== undefined) wanted[choice.role] = name;
    }
    keepWanted(wanted);
    await this.settleRoles();
  }

  /** Sets those of the wanted roles whose models are here. */
  async settleRoles(): Promise<void> {
    const wanted = readWanted();
    if (Object.keys(wanted).length === 0) return;
    await this.transfers.refresh();
    const here = this.installed();
    const coming = new Set(this.transfers.list.get().filter(isActive).map((download) => download.target));
    const { roles, rest } = due(wanted, here, coming);
    keepWanted(rest);
    const now = this.desk.models.get().roles ?? {};
    const changed = Object.entries(roles).filter(([role, model]) => now[role] !== model);
    if (changed.length > 0) await this.setRoles(Object.fromEntries(changed));
  }

  private installed(): Set<string> {
    return new Set(this.desk.models.get().models.map((model) => model.name));
  }

  /** `null`: back to the role's stand-in. */
  async setRoles(roles: Record<string, string | null>): Promise<boolean> {
    return this.ask("roles", async () => {
      await modelCalls.setRoles(roles);
      await this.desk.refreshModels();
      const said = Object.entries(roles).map(([role, model]) => `${roleName(role)}: ${model || "as at first"}`);
      say({ message: said.join(", ") });
    });
  }

  async pin(name: string, pinned: boolean): Promise<boolean> {
    return this.ask(name, async () => {
      await modelCalls.pin(name, pinned);
      await this.desk.refreshModels();
    });
  }

  async remove(name: string): Promise<boolean> {
    return this.ask(name, async () => {
      await modelCalls.remove(name);
      this.setCheck(name, null);
      say({ message: `Removed ${name}.` });
      void this.desk.refreshStatus();
      await Promise.all([this.desk.refreshModels(), this.refreshCatalogue()]);
    });
  }

  /** Reads all files of a model again and holds them against their digests. Leaving the page leaves it. */
  async verify(name: string): Promise<void> {
    if (this.checking.has(name)) return;
    const leave = new AbortController();
    this.checking.set(name, leave);
    this.setCheck(name, { state: "running", done: 0, total: 0 });
    let result: Check | null = null;
    try {
      for await (const { name: event, data } of readWork(await modelCalls.verify(name, leave.signal))) {
        if (event === "progress") {
          this.setCheck(name, { state: "running", done: Number(data["done_bytes"]), total: Number(data["total_bytes"]) });
        } else if (event === "error") sayError(errorIn(data));
        else if (event === "done") result = data["ok"] === true ? { state: "good" } : { state: "bad", files: badFiles(data) };
      }
    } catch (error) {
      if (!isAbort(error)) sayError(asErrorBody(error));
    }
    this.checking.delete(name);
    this.setCheck(name, result);
    if (result?.state === "good") say({ message: `${name} is intact.` });
    if (result?.state === "bad") {
      say({ message: `${name} is damaged: ${result.files.join(", ")}`, nextStep: "Remove it and get it again.", tone: "error", lastsMs: 14_000 });
    }
  }

  leaveChecks(): void {
    for (const leave of this.checking.values()) leave.abort();
  }

  private setCheck(name: string, check: Check | null): void {
    const checks = new Map(this.checks.get());
    if (check) checks.set(name, check);
    else checks.delete(name);
    this.checks.set(checks);
  }

  /** Does one thing at a time under a name. False: it failed, and that was said; or the same was under way. */
  private async ask(name: string, work: () => Promise<void>): Promise<boolean> {
    if (this.asking.get().has(name)) return false;
    this.asking.set(new Set([...this.asking.get(), name]));
    try {
      await work();
      return true;
    } catch (error) {
      sayError(asErrorBody(error));
      return false;
    } finally {
      this.asking.set(new Set([...this.asking.get()].filter((other) => other !== name)));
    }
  }

  private ended(download: Download): void {
    const name = download.target || download.source;
    // On the page of the models the row itself says it, and stays.
    if (download.state === "failed" && download.error && room.get() !== "models") sayError(download.error);
    if (download.state !== "done") return;
    say({ message: `${name} is here.` });
    void this.refresh();
  }
}

/** An embedder is small, and taken as it is published. */
function requestFor(choice: Choice): PullRequest {
  const whole = choice.role === "embed" || choice.quantization === "";
  return { source: choice.model, ...(whole ? {} : { quantization: choice.quantization }) };
}

function badFiles(data: Record<string, unknown>): string[] {
  const bad = data["bad"];
  return Array.isArray(bad) ? bad.map(String) : [];
}

/** One request of the list, as data. In `call` and `body`, `{{x}}` stands for a value saved before; `{{ns}}` is the scenario's namespace. */
export interface Request {
  /** A sentence, unique in the whole list. */
  name: string;
  /** Method and path, `GET /api/v1/namespaces/{{ns}}/configmaps/a`. */
  call: string;
  /** A string goes out as it is, anything else as JSON. */
  body?: unknown;
  /** Content-Type; JSON by default. */
  type?: string;
  accept?: string;
  /** User-Agent; it names the field manager of a write that gives none. */
  agent?: string;
  /** Values of the answer for later requests: variable → dotted path in the body. */
  save?: Record<string, string>;
  /** The request is repeated until its answer is so; only the last answer counts. For what controllers do afterwards. */
  until?: Until;
  /** The request is a watch that stays open under this name; a {@link Reading} tells what it got. */
  open?: string;
  /** The part of a long body that is compared. */
  view?: (body: Json) => unknown;
}

/** What an open watch has got, once there are `events` of them, or once the server has ended it. */
export interface Reading {
  name: string;
  read: string;
  events: number | 'end';
}

export type Step = Request | Reading;

export type Json = Record<string, unknown>;

export interface Until {
  status?: number;
  /** Dotted path in the body that must be there (`absent`: must not). */
  path?: string;
  absent?: boolean;
  /** What the path must hold. */
  is?: unknown;
}

/** Requests that follow each other, in a namespace of their own. */
export interface Scenario {
  namespace: string;
  /** Istio's own CRDs must be installed. */
  istio?: true;
  steps: Step[];
}

/** One server's answer, of which everything that may differ has been taken out. */
export interface Answer {
  status: number;
  headers: Record<string, string>;
  body: unknown;
}

/** Answers by the name of their request. */
export type Answers = Record<string, Answer>;

/** Where requests go. */
export interface Target {
  url: string;
  token?: string | undefined;
}

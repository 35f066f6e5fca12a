// The types of gateway.mjs. What a session, a change and an event are is described in the gateway's openapi.yaml.

export type Status = "initializing" | "qr_waiting" | "connected" | "disconnected";

export interface Session {
  id: string;
  status: Status;
  /** Digits with the country code. */
  phoneNumber?: string;
  name?: string;
  /** Dates are ISO 8601. */
  createdAt: string;
  connectedAt?: string;
  statusChangedAt: string;
  /** A credential. */
  qrCode?: string;
  qrCodeReceivedAt?: string;
  qrCodeExpiresAt?: string;
  disconnectReason?: { code?: number; text: string };
  /** What WhatsApp doesn't let the account do although it may be online. */
  restriction?: string;
  /** What an operator wants of the session, until its worker has done it. */
  wish?: "stop" | "logout" | "pair";
  /** The worker that serves it. */
  holder?: string;
  /** Whether a worker that has no socket for the session opens one. */
  needsSocket: boolean;
  /** Whether `qrCode` is scanned, or typed into the phone. */
  pairing?: "qr" | "code";
  /** Whether some worker has credentials for it: others leave it to that one. */
  linked: boolean;
}

/** The event `session`, for workers that speak neither as Baileys nor as whatsmeow. */
export interface SessionEvent {
  status?: Status;
  qrCode?: string;
  pairingCode?: string;
  phoneNumber?: string;
  name?: string;
  reason?: string;
  code?: number;
  restriction?: string;
}

/** Another worker serves the session, an operator stopped it, or this worker's lease is over: close the socket. */
export const lost: unique symbol;

export interface Follower {
  /** Every session: at first, under a new lease, and whenever the place in the journal is lost. */
  all(sessions: Session[]): void;
  changed(session: Session): void;
  deleted(id: string): void;
  /** The lease is over, and others may serve the sessions: close every socket. */
  over(): void;
}

/** The gateway as a worker sees it. `GATEWAY` in the environment is its address, `GATEWAY_TOKEN` its token. */
export class Gateway {
  constructor(worker: string);
  readonly url: string;
  readonly worker: string;
  readonly headers: Record<string, string>;

  /**
   * Reports an event, and goes on until the gateway has it: one at a time for a session.
   *
   * @param at When it happened, in milliseconds since 1970.
   * @returns The session; `null` when it was deleted; {@link lost}; `undefined` when the event says nothing, or comes too late.
   */
  report(id: string, event: "session", data: SessionEvent, at?: number): Promise<Session | null | undefined | typeof lost>;
  report(id: string, event: string, data: unknown, at?: number): Promise<Session | null | undefined | typeof lost>;

  /** Claims a session, before its socket is opened. `undefined` when it is another's or gone. */
  claim(id: string): Promise<Session | undefined>;

  /** Whether this worker may serve a session, as far as it is known. */
  isFree(session: Session): boolean;

  /** Any other request, with the token. */
  request(method: string, path: string, body?: string): Promise<Response>;

  /** Follows the sessions for ever. */
  follow(follower: Follower): Promise<never>;
}

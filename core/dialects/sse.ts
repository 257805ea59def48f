export interface Frame {
  /** The `event:` field, or empty. */
  readonly event: string;
  /** The `data:` lines joined by newlines, or empty for a frame of comments only. */
  readonly data: string;
  /** The frame's own bytes, closing blank line included. */
  readonly raw: Buffer;
}

/** The file that an operator of the coordinator hands to a hospital: where to enrol, whom to trust, and a one-time token. */
import { type Static, Type } from 'typebox';

const address = Type.String({ pattern: '^[^\\s/]+:[0-9]{1,5}$', maxLength: 300 });

export const InviteSchema = Type.Object(
  {
    site: Type.String({ pattern: '^[a-z0-9][a-z0-9-]{0,62}$' }),
    /** Usable once. */
    token: Type.String({ minLength: 16, maxLength: 500 }),
    /** host:port of the enrolment listener. */
    enrolment: address,
    /** host:port of the main listener. */
    coordinator: address,
    /** The CA that signed the coordinator's certificate, PEM. */
    caPem: Type.String({ minLength: 1, maxLength: 100_000 }),
    /** Milliseconds since the epoch. */
    expiresMs: Type.Integer({ minimum: 0 }),
  },
  { additionalProperties: false },
);

export type Invite = Static<typeof InviteSchema>;

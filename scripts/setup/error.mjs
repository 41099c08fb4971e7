/** A step that failed for a reason a person can act on: what happened (`message`) and what to do (`fix`). */
export class SetupError extends Error {
  /**
   * @param {string} message
   * @param {string} fix
   */
  constructor(message, fix) {
    super(message);
    this.name = 'SetupError';
    this.fix = fix;
  }
}

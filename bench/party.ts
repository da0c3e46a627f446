import { spawn, type ChildProcessByStdio } from 'node:child_process';
import { once } from 'node:events';
import { createInterface, type Interface } from 'node:readline';
import type { Readable, Writable } from 'node:stream';
import type { Answer, Request } from './serve.js';

/** How to start a process that answers requests as serve.ts says. */
export interface Command {
  readonly program: string;
  readonly args: readonly string[];
  readonly env?: NodeJS.ProcessEnv;
}

/** A party's times for one slice of work. */
export type Slice = Extract<Answer, { ms: unknown }>;

/** One measured library in a process of its own that stays alive between slices, so that parties can take turns. */
export class Party {
  readonly #label: string;
  readonly #child: ChildProcessByStdio<Writable, Readable, Readable>;
  readonly #lines: AsyncIterator<string>;
  readonly #reader: Interface;
  #said = '';
  #answered = false;

  constructor(label: string, { program, args, env }: Command) {
    this.#label = label;
    this.#child = spawn(program, args, { env: env ?? process.env, stdio: ['pipe', 'pipe', 'pipe'] });
    this.#child.stderr
      .setEncoding('utf8')
      .on('data', (text: string) => (this.#said = (this.#said + text).slice(-4000)));
    this.#child.stdin.on('error', () => undefined);
    this.#child.on('error', (error) => (this.#said += error.message));
    this.#reader = createInterface({ input: this.#child.stdout });
    this.#lines = this.#reader[Symbol.asyncIterator]();
  }

  /** Whether it has answered before: a party that never did is not there. */
  get answered(): boolean {
    return this.#answered;
  }

  /**
   * Times a slice; undefined if the party has no such work.
   * @throws Error with what the process said, when it failed
   */
  async measure(request: Request): Promise<Slice | undefined> {
    this.#child.stdin.write(`${JSON.stringify(request)}\n`);
    for (;;) {
      const line = await this.#lines.next();
      if (line.done === true) throw new Error(`${this.#label} ended at ${request.name}: ${this.#said.trim()}`);
      if (!line.value.startsWith('{')) continue;
      const answer = JSON.parse(line.value) as Answer;
      this.#answered = true;
      if ('unsupported' in answer) return undefined;
      if ('error' in answer) throw new Error(`${this.#label} failed at ${request.name}: ${answer.error}`);
      return answer;
    }
  }

  /** Ends the process. */
  async close(): Promise<void> {
    const ended =
      this.#child.exitCode !== null || this.#child.signalCode !== null || this.#child.pid === undefined
        ? undefined
        : once(this.#child, 'exit');
    this.#child.stdin.end();
    const timer = setTimeout(() => this.#child.kill(), 3000);
    await ended;
    clearTimeout(timer);
    this.#reader.close();
  }
}

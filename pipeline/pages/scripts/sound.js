// Spikes that are heard: clicks at random moments, as of a Poisson process, whose rate follows the response.

const RATE_AT_TOP = 100; // clicks a second at the response to the top patch
const FASTEST = 200;
const AHEAD = 0.12; // seconds of clicks that are planned ahead
const EVERY = 40; // milliseconds between plans

/** Return clicks a second: none at or below zero, 100 at the response to the top patch, at most 200. */
export function clickRate(response, top) {
  const scale = top > 0 ? top : 1;
  return Math.min(FASTEST, Math.max(0, (RATE_AT_TOP * response) / scale)) || 0;
}

/** Return random moments from one time to another (seconds) at a rate (1/s), with random() uniform from 0 to 1. */
export function spikeTimes(rate, from, until, random = Math.random) {
  const times = [];
  if (!(rate > 0)) return times;
  let time = from;
  while ((time -= Math.log(1 - random()) / rate) < until) times.push(time);
  return times;
}

/** Return the samples of one click, 2.5 ms: up, then down, dying away. */
export function click(sampleRate) {
  const seconds = 0.0025;
  return Float32Array.from({ length: Math.ceil(seconds * sampleRate) }, (_, i) => {
    const time = i / sampleRate / seconds;
    return Math.sin(2 * Math.PI * time) * Math.exp(-3 * time);
  });
}

/** Clicks through the loudspeaker. Nothing of the audio system is touched before start(). */
export class Spikes {
  constructor() {
    this.rate = 0;
    this.timer = null;
  }

  get on() {
    return this.timer !== null;
  }

  /** Begin to click; to be called from a press of the user. */
  start() {
    if (this.on) return;
    const Context = globalThis.AudioContext ?? globalThis.webkitAudioContext;
    if (!Context) throw new Error("This browser offers no audio.");
    this.context = new Context();
    const samples = click(this.context.sampleRate);
    this.sample = this.context.createBuffer(1, samples.length, this.context.sampleRate);
    this.sample.copyToChannel(samples, 0);
    this.planned = this.context.currentTime;
    this.timer = setInterval(() => this.plan(), EVERY);
  }

  stop() {
    clearInterval(this.timer);
    this.timer = null;
    this.context?.close();
    this.context = null;
  }

  plan() {
    const now = this.context.currentTime;
    const until = now + AHEAD;
    for (const time of spikeTimes(this.rate, Math.max(this.planned, now), until)) {
      const source = new AudioBufferSourceNode(this.context, { buffer: this.sample });
      source.connect(this.context.destination);
      source.start(time);
    }
    this.planned = until;
  }
}

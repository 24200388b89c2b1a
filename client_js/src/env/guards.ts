/** What keeps the device awake and the page open while bytes are on their way. */

/** Asks the browser to keep the screen on; again whenever the page becomes visible, since a hidden page loses it. */
export class WakeLock {
  #on = false
  #sentinel: WakeLockSentinel | null = null

  readonly #visible = (): void => {
    if (document.visibilityState === 'visible') void this.#ask()
  }

  set(on: boolean): void {
    if (on === this.#on || typeof document === 'undefined' || !navigator.wakeLock) return
    this.#on = on
    if (on) {
      document.addEventListener('visibilitychange', this.#visible)
      this.#visible()
    } else {
      document.removeEventListener('visibilitychange', this.#visible)
      void this.#sentinel?.release()
      this.#sentinel = null
    }
  }

  async #ask(): Promise<void> {
    if (this.#sentinel && !this.#sentinel.released) return
    try {
      const sentinel = await navigator.wakeLock.request('screen')
      if (this.#on) this.#sentinel = sentinel
      else await sentinel.release()
    } catch {
      this.#sentinel = null // low battery, say; uploads go on as long as the device does
    }
  }
}

const ask = (event: BeforeUnloadEvent): void => {
  event.preventDefault()
  event.returnValue = '' // older browsers ask only for this
}

export class LeaveWarning {
  set(on: boolean): void {
    if (typeof window === 'undefined') return
    if (on) window.addEventListener('beforeunload', ask)
    else window.removeEventListener('beforeunload', ask)
  }
}

/** How the containers of the active configuration are. */
export interface ContainerState {
  /** As in `[containers.container.NAME]`. */
  readonly name: string
  readonly state: 'waiting' | 'starting' | 'active' | 'failed'
  readonly message?: string | undefined
}

/** Makes what stands in `/data/config` true of the running system. */
export interface Activator {
  /**
   * Users, networks, firewall, containers; changes only what differs from what is active. Containers are started, not
   * waited for. Rejects with an Error that says which part failed and why; what it has done until then stays.
   */
  activate(say: (message: string) => void): Promise<void>
  /** Of every container in `quadlet-runtime.json`, by name. */
  containerStates(): Promise<ContainerState[]>
  /** Starts these containers anew even if nothing about them has changed (`activation.restart`). */
  restart(names: readonly string[]): Promise<void>
}

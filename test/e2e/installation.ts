/** Cuttle in a cluster, and what may happen to it there. What Kubernetes does then, it does. */
export interface Installation {
  /** Ends the controller's driver with SIGKILL. */
  killController(): Promise<void>;
  /** Takes the node plugin's pod away and waits until it has gone; the holder stays. */
  stopNode(): Promise<void>;
  /** Lets it return and waits until kubelet knows the driver again. */
  startNode(): Promise<void>;
  /** An upgrade: another pod with another configuration takes its place. */
  replaceNode(): Promise<void>;
  /** Ends the node plugin's driver with SIGKILL and waits until its successor is ready. */
  killNode(): Promise<void>;
  /** Where volumes are staged on the node, by the mount table. */
  staged(): Promise<string[]>;
  /** Uninstalls it, and says which of its objects are still there. */
  uninstall(): Promise<string[]>;
}

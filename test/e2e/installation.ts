/** Cuttle in a cluster, however it got there: as processes of this machine, or by the chart. */
export interface Installation {
  /** Ends the controller with SIGKILL at once; what Kubernetes would do then, happens: it is started again. */
  killController(): Promise<void>;
  /** Ends the node plugin in the ordinary way. */
  stopNode(): Promise<void>;
  /** Starts the node plugin that was stopped. */
  startNode(): Promise<void>;
  /** Ends what would be in the way of taking the cluster down. */
  stop(): Promise<void>;
}

// Livenessprobe stands in for the sidecar of that name, whose Go module could not be had when this was written (docs/e2e.md). It does the
// one thing that program does: it answers GET /healthz by what the driver answers to a Probe of the CSI contract.
package main

import (
	"context"
	"flag"
	"log"
	"net/http"
	"time"

	"github.com/container-storage-interface/spec/lib/go/csi"
	"google.golang.org/grpc"
	"google.golang.org/grpc/credentials/insecure"
)

func main() {
	address := flag.String("csi-address", "/run/csi/socket", "the driver's socket")
	endpoint := flag.String("http-endpoint", ":9808", "host and port of /healthz")
	timeout := flag.Duration("probe-timeout", time.Second, "how long the driver may take to answer")
	flag.Parse()
	connection, err := grpc.NewClient("unix://"+*address, grpc.WithTransportCredentials(insecure.NewCredentials()))
	if err != nil {
		log.Fatalf("livenessprobe: %v", err)
	}
	driver := csi.NewIdentityClient(connection)
	http.HandleFunc("/healthz", func(w http.ResponseWriter, r *http.Request) {
		ctx, cancel := context.WithTimeout(r.Context(), *timeout)
		defer cancel()
		reply, err := driver.Probe(ctx, &csi.ProbeRequest{})
		switch {
		case err != nil:
			log.Printf("probe: %v", err)
			http.Error(w, err.Error(), http.StatusInternalServerError)
		// The contract: an answer that doesn't say means ready.
		case reply.GetReady() != nil && !reply.GetReady().GetValue():
			http.Error(w, "the driver is not ready", http.StatusInternalServerError)
		default:
			_, _ = w.Write([]byte("ok"))
		}
	})
	log.Fatalf("livenessprobe: %v", http.ListenAndServe(*endpoint, nil))
}

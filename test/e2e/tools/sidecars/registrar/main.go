// Registrar stands in for node-driver-registrar, whose Go module could not be had when this was written (docs/e2e.md). It does the one
// thing that program does: it serves kubelet's plugin registration API (v1) on a socket in kubelet's plugins_registry, and ends when
// kubelet says that the registration has failed.
package main

import (
	"context"
	"errors"
	"flag"
	"log"
	"net"
	"os"
	"os/signal"
	"path/filepath"
	"syscall"
	"time"

	"github.com/container-storage-interface/spec/lib/go/csi"
	"google.golang.org/grpc"
	"google.golang.org/grpc/credentials/insecure"
	registration "k8s.io/kubelet/pkg/apis/pluginregistration/v1"
)

const driverTimeout = time.Minute

type server struct {
	registration.UnsafeRegistrationServer
	name     string
	endpoint string
	refused  chan error
}

// GetInfo answers kubelet's question who is behind the socket.
func (s *server) GetInfo(context.Context, *registration.InfoRequest) (*registration.PluginInfo, error) {
	return &registration.PluginInfo{
		Type:              registration.CSIPlugin,
		Name:              s.name,
		Endpoint:          s.endpoint,
		SupportedVersions: []string{"1.0.0"},
	}, nil
}

// NotifyRegistrationStatus is called when kubelet has spoken with the driver.
func (s *server) NotifyRegistrationStatus(_ context.Context, status *registration.RegistrationStatus) (*registration.RegistrationStatusResponse, error) {
	if !status.PluginRegistered {
		s.refused <- errors.New(status.Error)
	} else {
		log.Printf("kubelet has registered %s", s.name)
	}
	return &registration.RegistrationStatusResponse{}, nil
}

func main() {
	address := flag.String("csi-address", "/run/csi/socket", "the driver's socket, as this program sees it")
	endpoint := flag.String("kubelet-registration-path", "", "the driver's socket, as kubelet sees it")
	directory := flag.String("plugin-registration-path", "/registration", "kubelet's plugins_registry, as this program sees it")
	flag.Int("v", 0, "of the real one; this one says the same at every level")
	flag.Parse()
	if err := serve(*address, *endpoint, *directory); err != nil {
		log.Fatalf("registrar: %v", err)
	}
}

func serve(address, endpoint, directory string) error {
	name, err := driverName(address)
	if err != nil {
		return err
	}
	path := filepath.Join(directory, name+"-reg.sock")
	// Left by one that was killed; a socket that is there can't be bound again.
	if err := os.Remove(path); err != nil && !errors.Is(err, os.ErrNotExist) {
		return err
	}
	listener, err := net.Listen("unix", path)
	if err != nil {
		return err
	}
	refused := make(chan error, 1)
	rpc := grpc.NewServer()
	registration.RegisterRegistrationServer(rpc, &server{name: name, endpoint: endpoint, refused: refused})
	ended := make(chan error, 1)
	go func() { ended <- rpc.Serve(listener) }()
	asked, stop := signal.NotifyContext(context.Background(), syscall.SIGTERM, syscall.SIGINT)
	defer stop()
	select {
	case <-asked.Done():
		rpc.Stop() // closing the listener removes the socket: kubelet forgets the driver
		return nil
	case err := <-refused:
		return err
	case err := <-ended:
		return err
	}
}

// driverName waits for the driver and asks it what it is called.
func driverName(address string) (string, error) {
	connection, err := grpc.NewClient("unix://"+address, grpc.WithTransportCredentials(insecure.NewCredentials()))
	if err != nil {
		return "", err
	}
	defer connection.Close()
	ctx, cancel := context.WithTimeout(context.Background(), driverTimeout)
	defer cancel()
	reply, err := csi.NewIdentityClient(connection).GetPluginInfo(ctx, &csi.GetPluginInfoRequest{}, grpc.WaitForReady(true))
	if err != nil {
		return "", err
	}
	return reply.GetName(), nil
}

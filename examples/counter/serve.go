package counter

import (
	"context"
	"errors"
	"net"
	"net/http"
	"time"

	"github.com/frayrpc/fray/faults"
)

// Serve serves the counter of a directory until ctx is done, and beside it faults.v1.FaultService.
func Serve(ctx context.Context, listener net.Listener, dir string) error {
	c, err := Open(Dir(dir))
	if err != nil {
		return errors.Join(err, listener.Close())
	}
	injector := faults.New(faults.Config{Sides: []faults.Side{}})
	defer injector.Close()
	handler := faults.WithService(injector)(injector.Handler(c.Handler(), RoleServer))
	server := &http.Server{Handler: handler, ReadHeaderTimeout: 10 * time.Second}
	stopped := context.AfterFunc(ctx, func() { _ = server.Close() })
	defer stopped()
	if err := server.Serve(listener); !errors.Is(err, http.ErrServerClosed) {
		return err
	}
	return nil
}

package command

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/http"
	"net/http/pprof"
	"strings"
	"time"

	"github.com/spf13/pflag"
	"golang.org/x/net/netutil"

	"github.com/frayrpc/fray/internal/browsers"
)

// Bounds of where profiles are served.
const (
	profileConnections = 8
	profileHeaderTime  = 10 * time.Second
	profileHeaderBytes = 64 << 10
)

const profileOption = "pprof-listen"

// AddProfileFlag declares the option that names a port for profiles.
func AddProfileFlag(flags *pflag.FlagSet, address *string) {
	flags.StringVar(address, profileOption, "", "serve Go's profiles under /debug/pprof/ on this `address` without a credential; of this machine only, for they show what is in memory")
}

// ServeProfiles serves profiles of this process until done is called, which waits for that. Without an
// address it does nothing.
func ServeProfiles(ctx context.Context, address string, logger *slog.Logger) (done func() error, err error) {
	if address == "" {
		return func() error { return nil }, nil
	}
	if strings.HasPrefix(address, ":") {
		address = "127.0.0.1" + address
	}
	if !IsLoopback(address) {
		return nil, UsageError("--%s %s: profiles show what is in memory, secrets and tasks included, and ask for no credential:\n"+
			"give an address of this machine alone, such as 127.0.0.1:6060, and reach it from elsewhere by ssh -L", profileOption, address)
	}
	var config net.ListenConfig
	listener, err := config.Listen(ctx, "tcp", address)
	if err != nil {
		return nil, fmt.Errorf("listen for profiles on %q: %w", address, err)
	}
	mux := http.NewServeMux()
	mux.HandleFunc("GET /debug/pprof/", pprof.Index)
	mux.HandleFunc("GET /debug/pprof/cmdline", pprof.Cmdline)
	mux.HandleFunc("GET /debug/pprof/profile", pprof.Profile)
	mux.HandleFunc("GET /debug/pprof/symbol", pprof.Symbol)
	mux.HandleFunc("POST /debug/pprof/symbol", pprof.Symbol)
	mux.HandleFunc("GET /debug/pprof/trace", pprof.Trace)
	server := &http.Server{Handler: browsers.KeepOut(mux, browsers.Server{Loopback: func() bool { return true }}), ReadHeaderTimeout: profileHeaderTime, MaxHeaderBytes: profileHeaderBytes}
	served := make(chan error, 1)
	go func() { served <- server.Serve(netutil.LimitListener(listener, profileConnections)) }()
	logger.InfoContext(ctx, "profiles are served", "url", "http://"+listener.Addr().String()+"/debug/pprof/")
	return func() error {
		err := server.Close()
		if ended := <-served; !errors.Is(ended, http.ErrServerClosed) {
			err = errors.Join(err, ended)
		}
		return err
	}, nil
}

// IsLoopback reports whether an address to listen on can only be reached from this machine.
func IsLoopback(address string) bool {
	host, _, err := net.SplitHostPort(address)
	if err != nil {
		return false
	}
	ip := net.ParseIP(host)
	return host == "localhost" || (ip != nil && ip.IsLoopback())
}

// Package command is what the processes of a cluster are started with, whatever program they run: the
// command fray, and the workers of package workermain. It has their options, from the command line and
// from the environment, who they let in, how they speak TLS, what they log, which faults they inject,
// what signals do to them, and what they exit with.
//
//	p := &command.Process{Name: "worker", Stderr: os.Stderr, Environ: os.Environ(), Signals: signals}
//	p.AddTokenFlag(flags)
//	...
//	ctx, over := p.HeedSignals(ctx)
//	defer over()
package command

import (
	"context"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"os"
	"os/signal"
	"strings"
	"sync"
	"syscall"

	"connectrpc.com/connect"
	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/collectors"
	"github.com/spf13/pflag"

	"github.com/frayrpc/fray/fray/access"
	"github.com/frayrpc/fray/fray/certs"
	"github.com/frayrpc/fray/internal/endpoint"
	"github.com/frayrpc/fray/internal/stamp"
	"github.com/frayrpc/fray/internal/visible"
)

// Process is one run of a command: what it may touch of the process, and what is common to commands.
type Process struct {
	// Name is what users call the program.
	Name    string
	Stdin   io.Reader
	Stdout  io.Writer
	Stderr  io.Writer
	Environ []string
	// The first one ends the command in good order, the second at once.
	Signals <-chan os.Signal
	// Hurry is closed by the second signal; see HeedSignals.
	Hurry chan struct{}
	Seams Seams

	// Servers of this process want a token; and that is what they are told by, or a list of callers.
	Secured bool
	Listed  bool
	Shown   func() string // the token; nil: there is none
	access  func() *access.Policy
	// Audit is what tells of calls that change something; nil: nothing does.
	Audit *slog.Logger

	TLS TLS
	// DialHTTP3 is h3.Dial, for processes that speak HTTP/3 if they are told to; nil: they do not.
	DialHTTP3 func(certs.Files, *slog.Logger) (http.RoundTripper, error)

	Address string // of the controller; empty: none is named

	tokenFile string
}

// Seams are where something else can come between the process and the network: they reach every
// server that it starts, and every client that it makes.
type Seams struct {
	HandlerOptions []connect.HandlerOption
	Middleware     []func(http.Handler) http.Handler
	ClientOptions  []connect.ClientOption
	HTTPClient     connect.HTTPClient // nil: each client has its own
}

// CatchSignals has the signals that end a process sent to the channel that it returns, until release is
// called. Those that the process was started to ignore it goes on ignoring, as under nohup, or in the
// background of a shell script.
func CatchSignals() (signals <-chan os.Signal, release func()) {
	const unseen = 4 // A few that come while none is looked at.
	caught := make(chan os.Signal, unseen)
	for _, sig := range []os.Signal{os.Interrupt, syscall.SIGTERM, syscall.SIGHUP} {
		if !signal.Ignored(sig) {
			signal.Notify(caught, sig)
		}
	}
	return caught, func() { signal.Stop(caught) }
}

// HeedSignals returns a context that the first signal ends, with a [*SignalError], and has the second
// close Hurry, until over is called.
func (p *Process) HeedSignals(ctx context.Context) (heeding context.Context, over func()) {
	ctx, cancel := context.WithCancelCause(ctx)
	p.Hurry = make(chan struct{})
	ended := make(chan struct{})
	var watching sync.WaitGroup
	watching.Go(func() {
		for n := 1; ; n++ {
			select {
			case sig := <-p.Signals:
				switch n {
				case 1:
					cancel(&SignalError{sig})
				case 2:
					close(p.Hurry)
				}
			case <-ended:
				return
			}
		}
	})
	return ctx, func() {
		close(ended)
		cancel(nil)
		watching.Wait()
	}
}

// Exit prints err, unless it has been, as what the command with this name ends with; and where to read
// on if the command line was wrong. It returns code, which is what the process is to exit with.
func (p *Process) Exit(name string, err error, code int) int {
	if err == nil || said(err) {
		return code
	}
	text := strings.TrimRight(err.Error(), "\n")
	fmt.Fprintf(p.Stderr, "%s: %s\n", name, visible.Text(text))
	if code == ExitUsage && !strings.Contains(text, "\n") {
		fmt.Fprintf(p.Stderr, "Run '%s --help' for usage.\n", name)
	}
	return code
}

// AddAddressFlag declares the options that say which controller to call, and what to show it.
func (p *Process) AddAddressFlag(flags *pflag.FlagSet) {
	p.AddTokenFlag(flags)
	flags.StringVar(&p.Address, "controller", "", "the controller's `URL`, such as http://10.0.0.5:7070")
	SharedAs(flags, "controller", "controller-address")
}

// ControllerURL returns the URL of the controller that the options name.
func (p *Process) ControllerURL() (string, error) {
	if p.Address == "" {
		return "", UsageError("which controller? pass --controller URL, or set FRAY_CONTROLLER_ADDRESS")
	}
	address, err := endpoint.Parse(p.Address)
	if err != nil {
		return "", UsageError("controller address %q is not like http://host:port", p.Address)
	}
	return address, p.checkScheme(address)
}

// NewRegistry returns a registry of metrics that has those of the process, and what its program was built from.
func NewRegistry() *prometheus.Registry {
	registry := prometheus.NewRegistry()
	registry.MustRegister(collectors.NewGoCollector(), collectors.NewProcessCollector(collectors.ProcessCollectorOpts{}))
	registry.MustRegister(buildInfo(stamp.Read()))
	return registry
}

// unknown is what the metric says of a program that was built without a commit.
const unknown = "unknown"

// buildInfo is a metric that says what a program was built from.
func buildInfo(s stamp.Stamp) prometheus.Collector {
	revision := unknown
	if s.Commit != nil {
		revision = s.Commit.ID
	}
	return prometheus.NewGaugeFunc(prometheus.GaugeOpts{
		Name: "fray_build_info", Help: "Always 1. The labels say what the program was built from.",
		ConstLabels: prometheus.Labels{"version": s.Version, "revision": revision, "goversion": s.Go},
	}, func() float64 { return 1 })
}

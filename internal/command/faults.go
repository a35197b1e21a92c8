package command

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"os"
	"os/exec"
	"strings"
	"syscall"

	"connectrpc.com/connect"
	"github.com/prometheus/client_golang/prometheus"
	"github.com/spf13/pflag"

	"github.com/frayrpc/fray/faults"
	"github.com/frayrpc/fray/fray/access"
	frayv1 "github.com/frayrpc/fray/gen/fray/v1"
)

// Faults say whether a process can be made to misbehave, and how it does from its start.
type Faults struct {
	enable bool
	plan   string // a file; empty: none
}

// AddFlags declares the options.
func (o *Faults) AddFlags(flags *pflag.FlagSet) {
	flags.BoolVar(&o.enable, "enable-fault-injection", false, `let "fray faults", or --faults, make this process misbehave; for tests`)
	flags.StringVar(&o.plan, "faults", "", "`file` with the faults to inject from the start")
}

// CheckFaults refuses a process that would let everybody make it misbehave. It reports whether
// callers can: those faults that the command line names are its operator's will.
func (p *Process) CheckFaults(o Faults, open, listens bool) (served bool, err error) {
	if !o.enable || !listens {
		return false, nil
	}
	if open || p.KnowsCallers() {
		return true, nil
	}
	if o.plan != "" {
		return false, nil
	}
	return false, UsageError("everybody who reaches this process could make it misbehave with --enable-fault-injection.\n"+
		"Set %s, or --%s; or ask for certificates with --tls-client-ca; or name a file with --faults, which then nobody\n"+
		"changes from elsewhere; or pass --%s if that is what you want.", TokenVariable, TokenFileOption, OpenOption)
}

// FaultSide is what of the network a process injects faults into: one end of each wire is enough.
type FaultSide uint8

const (
	// FaultsServed are in the calls that others make to this process.
	FaultsServed FaultSide = iota
	// FaultsCalled are in the calls that this process makes.
	FaultsCalled
)

// InjectFaults puts an injector into the seams of a process with this name, which callers can tell
// what to inject if it is served. Its owner closes it.
func (p *Process) InjectFaults(o Faults, host string, side FaultSide, served bool, registerer prometheus.Registerer) (done func(), err error) {
	if !o.enable {
		if o.plan != "" {
			return nil, UsageError("--faults wants --enable-fault-injection, so that nobody injects faults by mistake")
		}
		return func() {}, nil
	}
	injected := prometheus.NewCounterVec(prometheus.CounterOpts{
		Name: "faults_injected_total", Help: "Faults injected, by kind, procedure and phase.",
	}, []string{"kind", "procedure", "phase"})
	if err := registerer.Register(injected); err != nil {
		return nil, fmt.Errorf("register metrics: %w", err)
	}
	sides := []faults.Side{faults.Server}
	if side == FaultsCalled {
		sides = append(sides, faults.Client)
	}
	injector := faults.New(faults.Config{
		Hooks: faults.Hooks{Crash: p.crashSelf, Pause: pauseSelf},
		OnInject: func(i faults.Injection) {
			injected.WithLabelValues(string(i.Rule.Action.Kind), i.Procedure, string(i.Phase)).Inc()
		},
		Sides:      sides,
		Procedures: faults.Procedures(frayv1.File_fray_v1_controller_proto, frayv1.File_fray_v1_worker_proto),
	})
	p.Seams.HandlerOptions = append(p.Seams.HandlerOptions, connect.WithInterceptors(injector.Interceptor(host)))
	withService := func(next http.Handler) http.Handler { return next }
	if served {
		var audited []connect.HandlerOption
		if p.Audit != nil {
			audited = append(audited, connect.WithInterceptors(access.Audit(p.Audit)))
		}
		withService = faults.WithService(injector, audited...)
	}
	p.Seams.Middleware = append(p.Seams.Middleware, func(next http.Handler) http.Handler {
		if side == FaultsServed {
			next = injector.Handler(next, host)
		}
		return withService(next)
	})
	closeAll := injector.Close
	if side == FaultsServed {
		injector.Handler(nil, host) // As the middleware will have it: the plan is checked against what is mounted.
	} else {
		p.Seams.ClientOptions = append(p.Seams.ClientOptions, connect.WithInterceptors(injector.Interceptor(host)))
		transport, closeTransport, err := p.Connections(false)
		if err != nil {
			return nil, err
		}
		p.Seams.HTTPClient = &http.Client{Transport: injector.RoundTripper(transport, host)}
		closeAll = func() { injector.Close(); closeTransport() }
	}
	if o.plan != "" {
		if err := applyPlanFile(injector, o.plan); err != nil {
			closeAll()
			return nil, err
		}
	}
	return closeAll, nil
}

func applyPlanFile(injector *faults.Injector, file string) error {
	plan, err := ReadPlan(file)
	if err != nil {
		return err
	}
	if err := injector.Apply(plan); err != nil {
		return UsageError("%s: %w", file, err)
	}
	return nil
}

// ReadPlan reads a plan; every mistake in it is told with its place.
func ReadPlan(file string) (faults.Plan, error) {
	text, err := os.ReadFile(file)
	if err != nil {
		return faults.Plan{}, UsageError("read fault plan: %w", err)
	}
	plan, err := faults.ParsePlan(string(text))
	if err == nil {
		return plan, nil
	}
	joined, ok := err.(interface{ Unwrap() []error })
	if !ok {
		return faults.Plan{}, UsageError("%s: %w", file, err)
	}
	var lines []string
	for _, e := range joined.Unwrap() {
		var at *faults.RuleError
		if errors.As(e, &at) && at.Line > 0 {
			lines = append(lines, fmt.Sprintf("%s:%d:%d: %s", file, at.Line, at.Column, at.Problem))
		} else {
			lines = append(lines, fmt.Sprintf("%s: %v", file, e))
		}
	}
	return faults.Plan{}, UsageError("%s", strings.Join(lines, "\n"))
}

// crashSelf ends this process as a power cut would end it: nothing is flushed, no peer is told.
// Whoever started the process reads which fault it was.
func (p *Process) crashSelf(_ context.Context, i faults.Injection) {
	fmt.Fprintf(p.Stderr, "fault %s ends this process\n", i.Rule.ID)
	_ = syscall.Kill(os.Getpid(), syscall.SIGKILL) // there is nothing to do about an error
	select {}
}

// pauseSelf stops this process, and has another one wake it.
func pauseSelf(_ context.Context, i faults.Injection) {
	wake := exec.Command("/bin/sh", "-c", fmt.Sprintf("sleep %.3f; kill -CONT %d", i.Rule.Action.Wait.Seconds(), os.Getpid())) //nolint:noctx // Two numbers; it must outlive the call.
	if err := wake.Start(); err != nil {
		return // Nobody would wake it.
	}
	_ = syscall.Kill(os.Getpid(), syscall.SIGSTOP) // there is nothing to do about an error
	_ = wake.Wait()                                // it has done what it should
}

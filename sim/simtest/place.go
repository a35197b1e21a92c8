package simtest

import (
	"context"
	"errors"
	"fmt"
	"strings"

	"github.com/spf13/pflag"

	"github.com/frayrpc/fray/sim/engine"
	"github.com/frayrpc/fray/sim/scenario"
)

// place is where runs take place, by --backend.
type place struct {
	name     string
	backends []Backend
}

func (o *place) addFlags(flags *pflag.FlagSet, a *App) {
	help := []string{"run in virtual time (" + scenario.BackendSim + ")"}
	if a.program.Backends != nil {
		o.backends = a.program.Backends(a)
	}
	if a.program.Subject.NotLive == "" {
		o.backends = append(o.backends, &running{subject: a.program.Subject})
	}
	for _, b := range o.backends {
		help = append(help, fmt.Sprintf("%s (%s)", b.Help(), b.Name()))
		b.AddFlags(flags)
	}
	flags.StringVar(&o.name, "backend", scenario.BackendSim, strings.Join(help, ", or "))
}

// used says whether runs are elsewhere than in virtual time.
func (o *place) used() bool { return o.name != scenario.BackendSim }

// backend returns the one that is used, or nil.
func (o *place) backend() Backend {
	for _, b := range o.backends {
		if b.Name() == o.name {
			return b
		}
	}
	return nil
}

func (o *place) check() error {
	if o.used() && o.backend() == nil {
		known := []string{scenario.BackendSim}
		for _, b := range o.backends {
			known = append(known, b.Name())
		}
		return Invalid("--backend %q is none of %s", o.name, strings.Join(known, ", "))
	}
	for _, b := range o.backends {
		if err := b.Check(b.Name() == o.name); err != nil {
			return err
		}
	}
	return nil
}

// prepare says whether the scenario of the first seed can run there.
func (o *place) prepare(of *subject, seed uint64) error {
	s := of.of(seed)
	err := o.backend().Prepare(s)
	if err == nil {
		err = s.RunsOn(o.name)
	}
	var known *ExitError
	switch {
	case err == nil:
		return nil
	case errors.As(err, &known):
		return err
	}
	return asInvalid(fmt.Errorf("%s: %w", of.Called, err))
}

func (o *place) run(ctx context.Context, s *scenario.Scenario, seed uint64) (*engine.Result, error) {
	result, err := o.backend().Run(ctx, s, seed)
	if err != nil {
		return nil, fmt.Errorf("seed %d: %w", seed, err)
	}
	return result, nil
}

package system

import (
	"context"

	"github.com/frayrpc/fray/sim/engine"
	"github.com/frayrpc/fray/sim/engine/virtual"
	"github.com/frayrpc/fray/sim/scenario"
)

// Run runs a scenario about a cluster in virtual time, as [virtual.Run] does.
func Run(ctx context.Context, s *scenario.Scenario, seed uint64, o Options) (*engine.Result, error) {
	return virtual.Run(ctx, Subject(o), s, seed, o.Options)
}

// Verify runs a scenario about a cluster several times in virtual time, as [virtual.Verify] does.
func Verify(ctx context.Context, s *scenario.Scenario, seed uint64, o Options, procs ...int) (*engine.Result, error) {
	return virtual.Verify(ctx, Subject(o), s, seed, o.Options, procs...)
}

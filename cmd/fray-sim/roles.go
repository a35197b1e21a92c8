package main

import (
	"github.com/spf13/pflag"

	"github.com/frayrpc/fray/sim/cluster"
	"github.com/frayrpc/fray/sim/scenario"
)

const rolesFlag = "roles"

// roles has every scenario run with callers that have roles, if that is asked for.
type roles struct{ on bool }

// AddFlags implements simtest.Variant.
func (r *roles) AddFlags(flags *pflag.FlagSet) {
	flags.BoolVar(&r.on, rolesFlag, false, "have each host show who it is, with the least role that it needs")
}

// Args implements simtest.Variant.
func (r *roles) Args() []string {
	if !r.on {
		return nil
	}
	return []string{"--" + rolesFlag}
}

// Apply implements simtest.Variant.
func (r *roles) Apply(s *scenario.Scenario) (*scenario.Scenario, error) {
	if !r.on {
		return s, nil
	}
	return cluster.WithRoles(s)
}

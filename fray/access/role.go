package access

import (
	"fmt"
	"strings"

	"github.com/frayrpc/fray/internal/spelling"
)

// Roles is a set of roles. Its zero value is none.
type Roles uint8

// The roles.
const (
	// Client submits tasks, and reads, watches and cancels those of its own jobs.
	Client Roles = 1 << iota
	// Worker leases tasks and reports for them, and does what the functions that it executes do as
	// clients, in any job.
	Worker
	// Operator does what clients do with everybody's jobs, drains workers and makes backups.
	Operator
	// Reader reads everything, and changes nothing.
	Reader
	// Injector has processes inject faults.
	Injector

	// Everything is all roles.
	Everything = Client | Worker | Operator | Reader | Injector
)

// roleNames are those of the roles, in the order of their bits.
var roleNames = []string{"client", "worker", "operator", "reader", "injector"}

// Any says whether the sets have a role in common.
func (r Roles) Any(other Roles) bool { return r&other != 0 }

// String returns the names of the roles with commas between them, as ParseRoles takes them; "none" of
// the empty set.
func (r Roles) String() string {
	if r&Everything == 0 {
		return "none"
	}
	names := make([]string, 0, len(roleNames))
	for i, name := range roleNames {
		if r.Any(1 << i) {
			names = append(names, name)
		}
	}
	return strings.Join(names, ",")
}

// ParseRoles returns the roles of a list of names with commas between them, of which there must be
// one, and each once.
func ParseRoles(list string) (Roles, error) {
	var all Roles
	for name := range strings.SplitSeq(list, ",") {
		role := Roles(0)
		for i, known := range roleNames {
			if name == known {
				role = 1 << i
			}
		}
		switch {
		case role == 0:
			near := ""
			if s := spelling.Nearest(name, roleNames); s != "" {
				near = fmt.Sprintf(": did you mean %q?", s)
			}
			return 0, fmt.Errorf("there is no role %q%s; there are %s", name, near, strings.Join(roleNames, ", "))
		case all.Any(role):
			return 0, fmt.Errorf("role %q is there twice", name)
		}
		all |= role
	}
	return all, nil
}

package check_test

import (
	"slices"
	"testing"

	"github.com/frayrpc/fray/sim/check"
)

// Where the network may deliver a call twice, the answer of the second delivery is the one that
// counts: it finds what the first did.
func TestAnswersOfSecondDeliveries(t *testing.T) {
	t.Parallel()
	for name, history := range map[string]func(s *script){
		"submission": func(s *script) {
			s.register("w")
			c := s.offer("a")
			s.grant("w", "a", 1)
			s.answer(c, "a", check.Existing)
		},
		"cancellation": func(s *script) {
			s.submit("a")
			s.cancel("a", check.AlreadyTerminal)
			s.view("a", cancelled, 0)
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			for _, redelivery := range []bool{false, true} {
				s := newScript(check.Config{Redelivery: redelivery})
				history(s)
				found := s.finish()
				wrong := slices.ContainsFunc(found, func(v check.Violation) bool { return v.Oracle == "linearizable" })
				if wrong == redelivery {
					t.Errorf("with redelivery %v: %v", redelivery, found)
				}
			}
		})
	}
}

package process

import (
	"testing"

	"github.com/frayrpc/fray/faults"
)

// What only the controller sees is for the controller, and what it cannot do for those who call it.
func TestRulesGoWhereTheyCanAct(t *testing.T) {
	t.Parallel()
	for text, caller := range map[string]bool{
		"r: drop":                                                false,
		"r: drop phase=response-in-flight":                       false,
		"r: error(aborted) phase=after-handler":                  false,
		"r: error(aborted) side=server":                          false,
		"r: delay(1s) phase=request-before-send":                 true,
		"r: error(aborted) side=client":                          true,
		"r: crash":                                               false,
		"r: restart(1s, host=controller)":                        false,
		"r: crash(host=worker-1)":                                true,
		"r: pause(1s)":                                           true,
		"r: crash(host=controller) phase=request-before-send":    true,
		"r: partition from=worker-1 to=controller":               false,
		"r: crash(host=controller) phase=after-handler nth=3":    false,
		"r: error(aborted) side=client phase=response-in-flight": true,
	} {
		rule, err := faults.ParseRule(text)
		if err != nil {
			t.Fatal(err)
		}
		if atCaller(&rule) != caller {
			t.Errorf("%s: at the caller %v, want %v", text, !caller, caller)
		}
	}
}

package system_test

import (
	"bytes"
	"encoding/json"
	"fmt"
	"math"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/frayrpc/fray/sim/cluster/system"
	"github.com/frayrpc/fray/sim/engine"
	"github.com/frayrpc/fray/sim/engine/virtual"
)

// Whoever reads results and histories finds keys in one style, and no number that JavaScript rounds.
func TestJSONHasOneStyle(t *testing.T) {
	// The seed and the hash are past 2^53.
	var history []engine.Event
	r := run(t, load(t, "split-fleet"), 1<<63+1, system.Options{Controller: reports(acceptStale), Options: virtual.Options{Options: engine.Options{History: func(e engine.Event) { history = append(history, e) }}}})
	for _, told := range []any{r, history} {
		text, err := json.Marshal(told)
		if err != nil {
			t.Fatal(err)
		}
		decoder := json.NewDecoder(bytes.NewReader(text))
		decoder.UseNumber()
		var read any
		if err := decoder.Decode(&read); err != nil {
			t.Fatal(err)
		}
		checkStyle(t, "", read)
	}
	text, err := json.Marshal(r)
	if err != nil {
		t.Fatal(err)
	}
	for _, want := range []string{`"seed":"9223372036854775809"`, fmt.Sprintf(`"hash":"%016x"`, uint64(r.Hash)), `"steps":`, `"worker_lost":`, `"most_of_one":`, `"scheduling_timeout":`} {
		if !bytes.Contains(text, []byte(want)) {
			t.Errorf("the result has no %s", want)
		}
	}
	if err := json.Unmarshal([]byte(`{"seed": "1", "hash": "12"}`), new(engine.Result)); err == nil || !strings.Contains(err.Error(), "is not 16 hexadecimal digits") {
		t.Errorf("a short hash is read: %v", err)
	}
}

var snakeCase = regexp.MustCompile(`^[a-z][a-z0-9]*(_[a-z0-9]+)*$`)

// checkStyle fails the test for keys that are not in snake_case, but for those of maps, which are
// names, and for numbers past 2^53.
func checkStyle(t *testing.T, at string, value any) {
	t.Helper()
	switch v := value.(type) {
	case map[string]any:
		for key, inner := range v { // order-free: each is checked
			named := slices.Contains([]string{".facts.kinds", ".facts.calls", ".facts.faults"}, at) || strings.HasSuffix(at, ".resources") || strings.HasSuffix(at, ".labels") || strings.HasSuffix(at, ".counts")
			if !named && !snakeCase.MatchString(key) {
				t.Errorf("%s has the key %q", at, key)
			}
			checkStyle(t, at+"."+key, inner)
		}
	case []any:
		for _, inner := range v {
			checkStyle(t, at, inner)
		}
	case json.Number:
		if n, err := v.Float64(); err != nil || math.Abs(n) > 1<<53 {
			t.Errorf("%s is %v, which JavaScript has no number for", at, v)
		}
	}
}

package core_test

import (
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"
)

// fuzzSeeds is where FuzzScheduler starts from: the shapes of the transcripts. Each begins with the
// seed, the delivery timeout, and the bounds on ended and on open tasks; 0 means the default.
// Register takes the worker, its kind, and whether it is a new one; advance takes the high and low
// byte of hundredths of a second.
var fuzzSeeds = map[string]string{
	"empty":                  "0 0 0 0",
	"lifecycle":              "0 0 0 0 register 0 0 1 submit 0 0 1 0 poll 0 1 1 50 beat 0 0 1 10 reportall 0 2 get 0 advance 9 0 ask",
	"poll_first":             "0 0 0 0 register 0 0 1 poll 0 2 1 50 submit 0 0 4 0 reportall 0 2 poll 0 2 1 0",
	"idempotent_submit":      "0 0 0 0 submit 0 0 3 0 submit 0 0 5 0 submit 1 0 5 0 submit 1 1 5 0",
	"retries":                "1 0 0 0 register 0 8 1 submit 0 1 2 0 poll 0 2 1 9 reportall 0 3 advance 1 0 poll 0 2 1 9 reportall 0 4 advance 2 0 poll 0 2 1 9 reportall 0 3",
	"retry_after":            "1 0 0 0 register 0 8 1 submit 0 1 1 0 poll 0 1 1 0 report 0 3 5 advance 3 0 poll 0 1 1 0 report 0 3 15",
	"endless_retries":        "0 0 0 0 register 0 3 1 submit 0 7 2 0 poll 0 2 1 0 reportall 0 3 poll 0 2 1 0 reportall 0 3 poll 0 2 1 0 reportall 0 4",
	"odd_backoffs":           "0 0 0 0 register 0 12 1 submit 0 8 2 0 submit 1 9 2 8 poll 0 4 1 0 reportall 0 3 advance 1 0 poll 0 4 1 0 reportall 0 3",
	"losses":                 "0 0 0 0 register 0 0 1 submit 0 2 1 0 poll 0 1 1 0 unregister 0 register 0 0 1 poll 0 1 1 0 unregister 0 register 0 0 1 poll 0 1 1 0 unregister 0 list 0 0 9",
	"expiry":                 "0 0 0 0 register 0 0 1 register 1 0 1 submit 0 2 4 0 poll 0 2 3 0 beat 0 0 15 63 advance 6 0 poll 1 4 1 50 reportall 0 2 reportall 1 2",
	"prefetched":             "0 0 0 0 register 0 0 1 submit 0 0 4 0 poll 0 1 4 0 beat 0 6 1 9 report 0 1 0 unregister 0 list 0 0 9",
	"lost_reply":             "0 0 0 0 register 0 3 1 submit 0 0 3 0 poll 0 2 224 0 repoll 0 2 224 0 repoll 0 2 1 0 poll 0 2 1 0 reportall 0 2",
	"unconfirmed":            "0 4 0 0 register 0 0 1 register 1 0 1 submit 0 0 2 0 poll 0 1 224 0 beat 0 0 0 191 advance 3 0 poll 1 2 1 90 advance 2 0 reportall 0 2 reportall 1 2",
	"reconcile_spares":       "0 0 0 0 register 0 3 1 submit 0 0 2 0 poll 0 1 1 0 poll 0 1 1 0 beat 0 0 0 191 beat 0 0 2 63 beat 0 0 0 63 list 0 0 9",
	"reconcile_loses":        "0 0 0 0 register 0 3 1 submit 0 2 3 0 poll 0 3 1 0 beat 0 1 6 9 beat 0 0 2 9 beat 0 0 0 73 list 0 0 9",
	"resources":              "0 2 0 0 register 0 43 1 submit 0 4 4 0 poll 0 4 4 0 poll 0 4 4 99 report 0 2 1 report 1 6 0 advance 3 0 poll 0 4 0 0",
	"two_resources":          "0 0 0 0 register 0 75 1 submit 0 5 3 0 submit 1 4 3 8 poll 0 4 4 0 poll 0 4 4 99 reportall 0 2 poll 0 4 4 9",
	"labels":                 "0 0 0 0 register 0 16 1 submit 0 6 2 0 poll 0 2 1 99 register 1 0 1 get 0 poll 1 2 1 99 unregister 1 get 0",
	"cancel_pending":         "0 0 0 0 submit 0 1 3 0 cancel 0 0 cancel 1 2 cancel 9 0 list 0 0 9",
	"cancel_running":         "0 0 0 0 register 0 3 1 submit 0 0 4 0 poll 0 4 1 0 beat 0 0 15 63 cancel 0 0 cancel 1 0 report 3 5 0 report 2 2 1 cancel 2 2 advance 5 0 reportall 0 5",
	"cancel_unconfirmed":     "0 3 0 0 register 0 0 1 submit 0 2 2 0 poll 0 2 224 0 cancel 0 0 repoll 0 2 224 0 cancel 1 0 advance 4 0 list 0 0 9",
	"execution_timeout":      "0 0 0 0 register 0 3 1 submit 0 2 2 0 poll 0 2 1 0 beat 0 0 3 63 advance 5 0 beat 0 0 3 63 advance 4 0 beat 0 0 3 63 advance 5 0 reportall 0 4 list 0 0 9",
	"scheduling_timeout":     "0 2 0 0 submit 0 3 3 0 register 0 0 1 poll 0 1 224 0 advance 2 0 advance 3 0 list 0 0 9",
	"undecodable":            "0 0 0 0 register 0 3 1 submit 0 7 2 0 poll 0 2 1 0 reportall 0 7 list 0 0 9",
	"odd_outcomes":           "0 0 0 0 register 0 3 1 submit 0 0 4 0 poll 0 4 1 0 report 0 0 0 report 1 8 0 report 2 1 200 report 3 2 200",
	"priorities":             "0 0 0 0 register 0 15 1 submit 0 6 3 0 submit 1 7 3 8 submit 2 0 3 16 submit 3 1 3 24 poll 0 4 1 0 poll 0 4 1 0 poll 0 4 1 0",
	"fairness":               "0 0 0 0 register 0 15 1 submit 0 0 9 0 submit 0 1 1 16 submit 1 1 5 24 submit 2 0 2 32 poll 0 6 1 0 poll 0 6 1 0 poll 0 6 1 0",
	"spread":                 "0 0 0 0 register 0 3 1 register 1 3 1 register 2 3 1 poll 0 4 1 99 poll 1 4 1 99 poll 2 1 1 99 submit 0 0 9 0 poll 0 4 1 99 poll 1 4 1 99",
	"admission":              "0 0 0 3 submit 0 0 5 0 submit 1 1 1 8 cancel 0 2 submit 1 1 1 8 submit 2 2 1 9 submit 3 3 1 10 submit 4 4 1 11 submit 5 5 1 12 cancel 0 3",
	"bytes":                  "0 0 0 0 submit 0 15 15 0 submit 0 15 15 16 submit 1 15 15 32 submit 1 15 15 48 cancel 0 2 cancel 0 3 submit 2 15 15 0",
	"retention":              "0 0 2 0 submit 0 0 5 0 cancel 0 0 watch 0 0 9 0 cancel 0 2 watch 0 0 9 0 submit 0 0 5 0 advance 255 255",
	"watch":                  "0 0 0 0 watch 0 0 9 99 submit 0 0 4 0 cancel 0 0 watch 0 1 1 99 cancel 0 2 watch 0 0 0 0 watch 0 9 1 0 watch 4 0 9 20 forsake 0 watch 4 1 1 1",
	"await":                  "0 0 0 0 await 0 9 submit 0 0 2 0 await 0 0 await 0 9 await 0 99 await 1 99 forsake 0 cancel 0 0 advance 0 200 cancel 1 0",
	"black_hole":             "0 0 0 0 register 0 3 1 register 1 0 1 submit 0 7 4 0 poll 0 4 1 0 reportall 0 3 poll 0 4 1 99 poll 1 1 1 99 advance 0 30 reportall 0 3 ask",
	"black_hole_alone":       "0 0 0 0 register 0 3 1 submit 0 7 4 0 poll 0 4 1 0 reportall 0 3 poll 0 4 1 99 ask",
	"drain":                  "0 0 0 0 register 0 3 1 submit 0 0 2 0 poll 0 1 1 0 poll 0 0 0 99 beat 0 0 1 63 drain 0 30 drain 0 1 drain 3 1 poll 0 2 1 9 beat 0 0 1 255 advance 1 0 reportall 0 2 unregister 0",
	"superseded":             "0 0 0 0 register 0 3 1 poll 0 1 1 99 repoll 0 1 1 99 submit 0 0 1 0 repoll 0 1 241 9 poll 0 1 1 99 forsake 0 submit 0 0 1 1",
	"registered_again":       "0 0 0 0 register 0 3 1 submit 0 2 2 0 poll 0 2 1 0 poll 0 2 1 99 beat 0 0 3 63 register 0 3 0 register 0 7 1 reportall 0 2 beat 0 0 3 9 ask",
	"too_many_workers":       "0 0 0 0 register 0 3 1 register 1 3 1 register 2 3 1 register 3 3 1 unregister 1 register 3 3 1 poll 1 1 1 9 poll 3 1 1 9 ask",
	"together":               "0 0 0 0 register 0 3 1 together 5 submit 0 0 4 0 poll 0 2 2 9 cancel 0 2 watch 0 0 9 9 watch 0 4 9 9 submit 0 0 4 4 together 2 poll 0 2 1 9 repoll 0 2 1 9 forsake 0",
	"restart":                "128 0 0 0 register 0 3 1 submit 0 1 4 0 poll 0 2 1 0 beat 0 0 1 63 restart 0 2 comeback 0 3 27 beat 0 0 3 63 reportall 0 2 restart 1 0 poll 0 2 1 0 list 0 0 9",
	"restart_unclaimed":      "128 0 0 0 register 0 3 1 submit 0 2 4 0 poll 0 2 1 0 restart 0 0 cancel 0 0 advance 7 0 register 1 3 1 poll 1 4 1 0 reportall 1 2 restart 0 9 advance 9 0 ask",
	"restart_power":          "129 0 0 0 register 0 3 1 submit 0 0 4 0 poll 0 2 1 0 restart 1 0 register 1 3 1 poll 1 1 1 0 comeback 0 3 170 reportall 0 2 reportall 1 2 restart 1 3 list 0 0 9",
	"restart_lost_step":      "130 0 0 0 register 0 3 1 submit 0 0 4 0 poll 0 2 1 0 together 3 reportall 0 2 cancel 3 0 restart 4 1 comeback 0 3 255 reportall 0 2 submit 0 0 4 0 ask",
	"restart_clock_back":     "131 0 0 0 register 0 8 1 submit 0 1 2 0 submit 1 3 2 8 poll 0 2 1 9 reportall 0 3 advance 2 0 cancel 8 0 restart 2 200 advance 4 0 restart 2 9 comeback 0 8 85 advance 9 0 list 0 0 9",
	"restart_retention":      "132 0 3 0 submit 0 0 6 0 cancel 0 0 cancel 1 0 cancel 2 0 cancel 3 0 restart 1 0 cancel 4 0 watch 0 0 9 0 restart 0 0 watch 0 1 9 0 advance 255 255 restart 1 0",
	"unregistered_callers":   "0 0 0 0 poll 0 1 1 9 beat 1 0 0 9 report 0 2 0 reportall 2 2 unregister 3 forsake 9 get 1 list 2 0 0",
	"actor":                  "0 0 0 0 register 0 3 1 actor 0 9 0 call 0 24 8 0 poll 0 4 1 99 ready 0 poll 0 4 1 99 report 0 2 2 poll 0 4 1 99 report 0 2 1 actors 0 3 list 0 0 9",
	"actor_concurrent":       "0 0 0 0 register 0 3 1 actor 0 73 0 call 0 24 8 0 call 6 24 16 0 poll 0 4 1 99 ready 0 poll 0 4 1 99 poll 0 4 1 99 report 0 2 0 report 1 5 1 report 2 6 0 actors 0 3",
	"actor_moves":            "0 0 0 0 register 0 3 1 register 1 3 1 actor 0 11 0 call 0 25 8 0 poll 0 4 1 99 ready 0 poll 0 4 1 99 unregister 0 poll 1 4 1 99 ready 1 poll 1 4 1 99 reportall 1 2 actors 0 3",
	"actor_deleted":          "0 0 0 0 register 0 3 1 actor 0 9 0 call 0 26 8 0 call 6 90 16 0 poll 0 4 1 99 ready 0 poll 0 4 1 99 cancel 8 0 report 1 6 1 cancel 0 0 advance 0 200 actor 0 9 1 call 0 24 20 0 actors 0 3 list 0 0 9",
	"actor_restart":          "128 0 0 0 register 0 3 1 actor 0 9 0 call 0 25 8 0 call 6 4 16 0 poll 0 4 1 99 ready 0 poll 0 4 1 99 restart 0 2 comeback 0 3 255 ready 0 poll 0 4 1 99 restart 1 0 advance 9 0 actors 0 3 list 0 0 9",
	"actor_names":            "0 0 0 0 actor 0 9 0 actor 0 9 1 call 0 0 8 1 call 0 0 9 60 actor 1 9 2 cancel 0 0 actor 1 9 2 actors 0 6 call 0 224 9 2 call 0 0 10 2",
	"another_workers_tokens": "0 0 0 0 register 0 3 1 register 1 3 1 submit 0 0 3 0 poll 0 3 1 0 beat 1 1 6 63 beat 1 1 6 63 advance 1 0 beat 1 0 0 63",
}

// TestFuzzCorpus sees that the committed corpus is what fuzzSeeds says; go test -update rewrites
// it.
func TestFuzzCorpus(t *testing.T) {
	t.Parallel()
	for name, text := range fuzzSeeds {
		data, err := fuzzCompile(text)
		if err != nil {
			t.Fatalf("seed %s: %v", name, err)
		}
		file := filepath.Join("testdata", "fuzz", "FuzzScheduler", name)
		want := "go test fuzz v1\n[]byte(" + strconv.Quote(string(data)) + ")\n"
		got, err := os.ReadFile(file)
		if err == nil && string(got) == want {
			continue
		}
		if !*update {
			t.Errorf("%s is not what fuzzSeeds says; go test -update rewrites it", file)
			continue
		}
		if err := os.MkdirAll(filepath.Dir(file), 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(file, []byte(want), 0o644); err != nil {
			t.Fatal(err)
		}
	}
}

// fuzzCompile turns the names of fuzzOps and numbers into bytes.
func fuzzCompile(text string) ([]byte, error) {
	var data []byte
	args := 4
	for word := range strings.FieldsSeq(text) {
		if n, err := strconv.ParseUint(word, 10, 8); err == nil {
			data = append(data, byte(n))
			args--
			continue
		}
		i := slices.IndexFunc(fuzzOps, func(op fuzzOp) bool { return op.name == word })
		if i < 0 || args != 0 {
			return nil, fmt.Errorf("%q is unknown, or the word before it has %d arguments too few", word, args)
		}
		data = append(data, byte(i))
		args = fuzzOps[i].args
	}
	if args != 0 {
		return nil, fmt.Errorf("the last word has %d arguments too few", args)
	}
	return data, nil
}

package cluster_test

import (
	"bytes"
	"fmt"
	"strings"
	"testing"

	"github.com/frayrpc/fray/sim/cluster"
	"github.com/frayrpc/fray/sim/scenario"
)

// numbered returns a scenario with some lines of the workload's client and of its kind of tasks.
func numbered(client, kind string) string {
	return fmt.Sprintf(`apiVersion: fray.sim/v1
kind: Scenario
metadata:
  name: numbers
  summary: "Numbers in all their forms."
topology:
  workers:
    - {name: worker, count: 2, slots: 2}
workload:
  clients:
    - {name: client, %s}
  mix:
    - {name: work, %s}
`, client, kind)
}

// A number of a file is what its author reads there, or is refused in words that say which it could
// be.
func TestNumbersMeanWhatTheyShow(t *testing.T) {
	t.Parallel()
	for text, want := range map[string]string{
		"10": "10", "1_000": "1000", "0o10": "8", "0x10": "16", "0b10": "2", "+7": "7",
		"010":  "write 10, or 0o10 if you mean 8",
		"0010": "write 10, or 0o10 if you mean 8",
		"0_10": "two ways",
		"00":   "write 0",
		"08":   "",
		"1e3":  "not a whole number", ".5": "not a whole number", "5.0": "not a whole number",
		"yes": "not a whole number", `"10"`: "not a whole number", "-1": "less than",
		"99999999999999999999": "", "1_000_000_000_000": "more than", ".inf": "not a whole number", ".nan": "not a whole number",
	} {
		s, err := cluster.Parse("numbers.yaml", []byte(numbered("tasks: "+text, "weight: 1")))
		switch {
		case err == nil:
			if got := fmt.Sprint(cluster.Of(s).Workload.Clients[0].Tasks); got != want {
				t.Errorf("tasks: %s is %s, want %s", text, got, want)
			}
		case !strings.Contains(err.Error(), want) || want != "" && strings.Trim(want, "0123456789") == "":
			t.Errorf("tasks: %s is refused with %v, want %s", text, err, want)
		}
	}
}

func TestUnitsAreWithinRange(t *testing.T) {
	t.Parallel()
	for line, want := range map[string]string{
		"work: {min: 1e400s, max: 2s}":              "not a duration",
		"work: {min: 99999999999h, max: 2s}":        "not a duration",
		"work: {min: -1s, max: 2s}":                 "negative",
		"work: {min: 5, max: 2s}":                   "no unit",
		"work: {min: NaNs, max: 2s}":                "not a duration",
		"resultSize: 99999999999GiB":                "too large",
		"resultSize: 99999999999999999999999999GiB": "too large",
		"resultSize: -5KiB":                         "negative",
		"resultSize: 1.5KiB":                        "not a size",
		"resultSize: 1e3B":                          "not a size",
		"resultSize: 64":                            "no unit",
		"weight: 1e400":                             "",
		"weight: .inf":                              "",
		"weight: .nan":                              "",
		"weight: 010":                               "",
	} {
		_, err := cluster.Parse("numbers.yaml", []byte(numbered("tasks: 1", line)))
		if err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%s: error %v, want %q", line, err, want)
		}
	}
}

// What is more than nothing is not rounded to nothing, which would mean for ever.
func TestShortTimesStay(t *testing.T) {
	t.Parallel()
	for text, want := range map[string]string{"0.1ns": "1ns", "900us": "900us", "1ns": "1ns"} {
		var d scenario.Duration
		if err := d.UnmarshalText([]byte(text)); err != nil || d.String() != want {
			t.Errorf("%s is %v, %v, want %s", text, d, err, want)
		}
	}
}

// Editors put a byte order mark before a text and end lines with a carriage return, and nobody sees
// it.
func TestInvisibleBytesChangeNothing(t *testing.T) {
	t.Parallel()
	plain := []byte(numbered("tasks: 10", "weight: 1"))
	want, err := cluster.Parse("plain.yaml", plain)
	if err != nil {
		t.Fatal(err)
	}
	for name, text := range map[string][]byte{
		"byte order mark": append([]byte("\xEF\xBB\xBF"), plain...),
		"CRLF":            bytes.ReplaceAll(plain, []byte("\n"), []byte("\r\n")),
		"both":            append([]byte("\xEF\xBB\xBF"), bytes.ReplaceAll(plain, []byte("\n"), []byte("\r\n"))...),
	} {
		got, err := cluster.Parse("plain.yaml", text)
		if err != nil {
			t.Errorf("%s: %v", name, err)
			continue
		}
		a, _ := want.Marshal()
		if b, err := got.Marshal(); err != nil || !bytes.Equal(a, b) {
			t.Errorf("%s: another scenario: %v\n%s", name, err, b)
		}
	}
	for name, text := range map[string]string{
		"tab":          strings.Replace(string(plain), "    - {name: client", "\t- {name: client", 1),
		"twice":        numbered("tasks: 10, tasks: 11", "weight: 1"),
		"yes for true": numbered("tasks: 10", "crashesWorker: yes"),
		"UTF-16":       "\xFF\xFEa\x00",
	} {
		if _, err := cluster.Parse(name, []byte(text)); err == nil {
			t.Errorf("%s: taken", name)
		}
	}
}

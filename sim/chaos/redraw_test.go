package chaos_test

import (
	"bytes"
	"strings"
	"testing"

	"github.com/frayrpc/fray/sim/chaos"
)

func TestVariationIsReadBack(t *testing.T) {
	t.Parallel()
	for text, want := range map[string]string{
		"7": "", "23 network=5,faults=77": "23 faults=77,network=5", "18446744073709551615 fault-3=0": "",
	} {
		v, err := chaos.ParseVariation(text)
		if want == "" {
			want = text
		}
		if err != nil || v.String() != want {
			t.Errorf("%q is read as %q: %v", text, v, err)
		}
	}
	var many []string
	for _, part := range chaos.Each("fault", chaos.MaxRedraws+1) {
		many = append(many, part+"=1")
	}
	for text, want := range map[string]string{
		"faults":                `"faults" is not a part and its seed: write them as faults=77`,
		"=7":                    "is not a part and its seed",
		"faults=x":              `the seed of faults is "x": write a number`,
		"faults=-1":             "write a number from 0 to",
		"faults=1,faults=2":     "faults is redrawn twice",
		",":                     "is not a part",
		strings.Join(many, ","): "more than 32 parts are redrawn",
	} {
		if _, err := chaos.ParseRedraw(text); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%q: got %v, want %q", text, err, want)
		}
	}
}

// All faults of a scenario can be drawn from another seed, and so can a single one, which leaves the
// others as they are.
func TestFaultsAreRedrawn(t *testing.T) {
	t.Parallel()
	for _, base := range bases(t) {
		for seed := range uint64(15) {
			own, err := chaos.Draw(base, seed, chaos.Options{})
			if err != nil {
				t.Fatal(err)
			}
			all, err := chaos.Draw(base, seed, chaos.Options{Redraw: chaos.Redraw{"faults": 1000}})
			if err != nil {
				t.Fatal(err)
			}
			other, err := chaos.Draw(base, 1000, chaos.Options{})
			if err != nil {
				t.Fatal(err)
			}
			if all.Run.Seeds.First != seed || all.Metadata.Name == own.Metadata.Name {
				t.Fatalf("%s is to run under %v", all.Metadata.Name, all.Run.Seeds)
			}
			all.Metadata.Name, all.Run.Seeds = other.Metadata.Name, other.Run.Seeds
			one, _ := all.Marshal()
			if two, _ := other.Marshal(); !bytes.Equal(one, two) {
				t.Fatalf("seed %d has not got the faults of the other:\n%s\n%s", seed, one, two)
			}
			first, err := chaos.Draw(base, seed, chaos.Options{Redraw: chaos.Redraw{"fault-1": 1000}})
			if err != nil {
				t.Fatal(err)
			}
			if first.Metadata.Name != own.Metadata.Name+"-fault-1-1000" || len(first.Faults) != len(own.Faults) {
				t.Fatalf("%s has %d faults, want %d", first.Metadata.Name, len(first.Faults), len(own.Faults))
			}
			for i := range own.Faults[1:] {
				if x, y := own.Faults[i+1].ID, first.Faults[i+1].ID; x != y {
					t.Fatalf("seed %d: fault %d is %s, want %s", seed, i+2, y, x)
				}
			}
		}
		for part, want := range map[string]string{
			"fautls": "did you mean faults?", "network": "among all, faults, fault-1", "fault-9": `there is no part "fault-9"`,
		} {
			_, err := chaos.Draw(base, 1, chaos.Options{Redraw: chaos.Redraw{part: 7}})
			if err == nil || !strings.Contains(err.Error(), want) {
				t.Errorf("%s: got %v, want %q", part, err, want)
			}
		}
	}
}

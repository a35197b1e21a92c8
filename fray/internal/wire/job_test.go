package wire_test

import (
	"math"
	"strings"
	"testing"

	"buf.build/go/protovalidate"
	"pgregory.net/rapid"

	"github.com/frayrpc/fray/fray/internal/wire"
	frayv1 "github.com/frayrpc/fray/gen/fray/v1"
)

// What the schema refuses is refused; and besides that, what it cannot tell: names that are Fray's, NULs, too many
// bytes, and a job that is its own parent.
func TestCheckJobOptionsIsTheSchema(t *testing.T) {
	t.Parallel()
	v, err := protovalidate.New()
	if err != nil {
		t.Fatal(err)
	}
	rapid.Check(t, func(rt *rapid.T) {
		o := &frayv1.JobOptions{
			ParentJobId:    rapid.SampledFrom([]string{"", "p", "job", "a b", "-", strings.Repeat("x", 129)}).Draw(rt, "parent"),
			MaxFailedShare: rapid.SampledFrom([]float64{0, 0.5, 1, -0.1, math.NaN(), math.Inf(1)}).Draw(rt, "share"),
			Weight:         rapid.SampledFrom([]uint32{0, 1, 100, 101}).Draw(rt, "weight"),
		}
		name := rapid.SampledFrom([]string{"", "A", "_", "a1", "1a", "A-B", "FRAY_X", "Ä", strings.Repeat("x", 256), strings.Repeat("x", 257)})
		value := rapid.SampledFrom([]string{"", "v", "\x00", strings.Repeat("x", 16<<10)})
		o.Environment = rapid.MapOfN(name, value, 0, 2).Draw(rt, "environment")
		if rapid.IntRange(0, 9).Draw(rt, "many") == 0 {
			for i := range rapid.IntRange(63, 65).Draw(rt, "variables") {
				o.Environment["V"+strings.Repeat("V", i)] = ""
			}
		}
		own := o.GetParentJobId() == "job"
		bytes := 0
		for n, v := range o.GetEnvironment() { // order-free: each for itself
			own = own || strings.HasPrefix(n, "FRAY_") || strings.Contains(v, "\x00")
			bytes += len(n) + len(v)
		}
		want := v.Validate(o) == nil && !own && bytes <= 16<<10
		if err := wire.CheckJobOptions("job", o); (err == nil) != want {
			rt.Errorf("%v: %v; the schema says %v", o, err, v.Validate(o))
		}
	})
}

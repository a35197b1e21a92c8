package timeline

import (
	"slices"
	"testing"
	"time"
)

func TestKept(t *testing.T) {
	t.Parallel()
	for name, test := range map[string]struct {
		times []time.Duration
		want  []time.Duration
		gap   *gap
	}{
		"nothing": {},
		"all":     {times: []time.Duration{1, 2, 3, 4, 5, 6, 7, 8}, want: []time.Duration{1, 2, 3, 4, 5, 6, 7, 8}},
		"cut": {
			times: []time.Duration{1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12},
			want:  []time.Duration{1, 8, 9, 10, 11, 12},
			gap:   &gap{What: "things", Dropped: 6, Total: 12, From: 2, Until: 7},
		},
		"cut within an instant": {
			times: []time.Duration{1, 2, 2, 2, 5, 6, 7, 7, 7, 8, 9, 10, 11},
			want:  []time.Duration{1, 8, 9, 10, 11},
			gap:   &gap{What: "things", Dropped: 8, Total: 13, From: 2, Until: 7},
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			k := newKept(8, func(d time.Duration) time.Duration { return d })
			for _, d := range test.times {
				k.add(d)
			}
			got, missing := k.all("things")
			if !slices.Equal(got, test.want) {
				t.Errorf("got %v, want %v", got, test.want)
			}
			if (missing == nil) != (test.gap == nil) || missing != nil && *missing != *test.gap {
				t.Errorf("gap %+v, want %+v", missing, test.gap)
			}
		})
	}
}

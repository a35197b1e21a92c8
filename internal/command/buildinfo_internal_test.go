package command

import (
	"strings"
	"testing"

	"github.com/prometheus/client_golang/prometheus/testutil"

	"github.com/frayrpc/fray/internal/stamp"
)

func TestBuildInfo(t *testing.T) {
	t.Parallel()
	for _, test := range []struct {
		name     string
		commit   *stamp.Commit
		revision string
	}{
		{"built in a clone", &stamp.Commit{ID: "75c310d3a1b2"}, "75c310d3a1b2"},
		{"built without a commit", nil, "unknown"},
	} {
		t.Run(test.name, func(t *testing.T) {
			t.Parallel()
			want := `
# HELP fray_build_info Always 1. The labels say what the program was built from.
# TYPE fray_build_info gauge
fray_build_info{goversion="go1.2",revision="` + test.revision + `",version="v1.2.3"} 1
`
			if err := testutil.CollectAndCompare(buildInfo(stamp.Stamp{Version: "v1.2.3", Go: "go1.2", Commit: test.commit}), strings.NewReader(want)); err != nil {
				t.Error(err)
			}
		})
	}
	if n, err := testutil.GatherAndCount(NewRegistry(), "fray_build_info"); err != nil || n != 1 {
		t.Errorf("a registry has %d of it: %v", n, err)
	}
}

package execfn_test

import (
	"maps"
	"strings"
	"testing"

	"github.com/frayrpc/fray/fray/worker/execfn"
)

func TestLimitsAreRead(t *testing.T) {
	t.Parallel()
	l := make(execfn.Limits)
	if err := l.SetAll("cpu=1500ms,memory=2GiB,files=256,processes=1,file-size=1MB,core=0"); err != nil {
		t.Fatal(err)
	}
	if want := (execfn.Limits{"cpu": 2, "memory": 2 << 30, "files": 256, "processes": 1, "file-size": 1e6, "core": 0}); !maps.Equal(l, want) {
		t.Errorf("got %v, want %v", l, want)
	}
	again := make(execfn.Limits)
	if err := again.SetAll(l.String()); err != nil || !maps.Equal(l, again) {
		t.Errorf("%s is read as %v, %v", l, again, err)
	}
	for text, want := range map[string]string{
		"cpu":                `"cpu" is not like memory=2GiB`,
		"cpu=10":             "it is not a duration such as 30s",
		"cpu=-1s":            "it is not a duration such as 30s",
		"memory=0":           "0 is not from 1 to 1152921504606846976",
		"memory=much":        `"much" is not a whole number`,
		"memory=2EiB":        "is not a whole number",
		"core=9999999GB":     "",
		"core=2000000000GiB": "2000000000 is not from 0 to",
		"files=0":            "0 is not from 1",
		"file-sizes=1":       `there is no such limit, only cpu, memory, files, processes, file-size, core: did you mean "file-size"?`,
	} {
		err := l.Set(text)
		if want == "" && err == nil {
			continue
		}
		if err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%q: error %v, want %q", text, err, want)
		}
	}
}

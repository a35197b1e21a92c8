package execfn_test

import (
	"encoding/json"
	"reflect"
	"testing"

	"github.com/frayrpc/fray/fray/worker/execfn"
)

// Limits are refused, or written as what is read as the same.
func FuzzLimits(f *testing.F) {
	for _, text := range []string{
		"", "cpu=10m", "memory=2GiB,files=256", "core=0", "memory=0", "cpu=0", "cpu=1ns", "file-size=9223372036854775807B", "processes=1,processes=2", "files", "=1", ",", "memory=1e3", "cpu=2562047h47m16.854775807s",
		"memory=18446744073709551615", "memory=8EiB", "core=9007199254740991KiB", "file-size=-1",
	} {
		f.Add(text)
	}
	f.Fuzz(func(t *testing.T, text string) {
		l := execfn.Limits{}
		if err := l.SetAll(text); err != nil {
			return
		}
		again := execfn.Limits{}
		if err := again.SetAll(l.String()); err != nil || !reflect.DeepEqual(again, l) {
			t.Errorf("%q is written as %q, and read as %v, %v", text, l, again, err)
		}
	})
}

// A command arrives as it was sent, whatever bytes it has; and what arrives is read or refused.
func FuzzCommand(f *testing.F) {
	f.Add([]byte(`{"argv":["a"]}`), "a\xff\x00")
	f.Add([]byte(`{"argv":[{"base64":"/w=="}],"dir":"\ud800"}`), "\u2028")
	f.Add([]byte(`{"argv":[{"base64":null}]}`), "\xed\xa0\x80")
	f.Add([]byte(`{"argv":["\ud83d\ude00","\udc00"]}`), "")
	f.Fuzz(func(t *testing.T, sent []byte, text string) {
		var c execfn.Command
		if err := json.Unmarshal(sent, &c); err == nil {
			same(t, c)
		}
		same(t, execfn.Command{Argv: []string{"x", text}, Env: []string{text}, Stdin: append([]byte(nil), text...), Dir: text})
	})
}

func same(t *testing.T, c execfn.Command) {
	t.Helper()
	data, err := json.Marshal(c)
	if err != nil {
		t.Fatalf("%#v: %v", c, err)
	}
	var again execfn.Command
	if err := json.Unmarshal(data, &again); err != nil || !reflect.DeepEqual(again, c) {
		t.Errorf("%#v is sent as %s, and read as %#v, %v", c, data, again, err)
	}
}

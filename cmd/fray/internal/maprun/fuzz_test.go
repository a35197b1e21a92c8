package maprun_test

import (
	"bytes"
	"slices"
	"strings"
	"testing"

	"github.com/frayrpc/fray/cmd/fray/internal/maprun"
)

// Inputs are what stands between delimiters, each byte of it, or the text is refused.
func FuzzRead(f *testing.F) {
	f.Add([]byte("a\nb\n\n"), byte('\n'))
	f.Add([]byte("a\x00b"), byte(0))
	f.Add([]byte("a\x00b"), byte('\n'))
	f.Add(bytes.Repeat([]byte("a"), 128<<10), byte('\n'))
	f.Fuzz(func(t *testing.T, text []byte, delimiter byte) {
		var got []string
		for input, err := range maprun.Read(bytes.NewReader(text), "inputs", delimiter) {
			if err != nil {
				if !strings.Contains(err.Error(), "inputs") {
					t.Errorf("the error does not say where: %v", err)
				}
				return
			}
			got = append(got, input)
		}
		want := strings.Split(string(text), string([]byte{delimiter}))
		if want[len(want)-1] == "" {
			want = want[:len(want)-1]
		}
		if !slices.Equal(got, want) {
			t.Errorf("%q is read as %q", text, got)
		}
	})
}

// An input is put where {} stands, or at the end; nothing of it is taken for {} again.
func FuzzCommand(f *testing.F) {
	f.Add("{}", "a")
	f.Add("a{}b{}", "{}")
	f.Add("{{}}", "")
	f.Add("", "\xff")
	f.Fuzz(func(t *testing.T, arg, input string) {
		got := maprun.Command{"program", arg}.With(input)
		want := []string{"program", strings.Join(strings.Split(arg, "{}"), input)}
		if !strings.Contains(arg, "{}") {
			want = []string{"program", arg, input}
		}
		if !slices.Equal(got, want) {
			t.Errorf("%q with %q is %q", arg, input, got)
		}
	})
}

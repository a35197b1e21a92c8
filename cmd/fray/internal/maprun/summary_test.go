package maprun

import "testing"

func TestTail(t *testing.T) {
	t.Parallel()
	for text, want := range map[string]string{
		"": "", "\n\n": "", "a": "a", "a\nb\n": "a\nb", "1\n2\n3\n4\n5\n": "1\n2\n3\n4\n5", "0\n1\n2\n3\n4\n5": "1\n2\n3\n4\n5",
	} {
		if got := tail(text); got != want {
			t.Errorf("tail(%q) is %q, want %q", text, got, want)
		}
	}
}

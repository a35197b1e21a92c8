package words_test

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"iter"
	"maps"
	"slices"
	"strings"
	"testing"
	"testing/fstest"
	"testing/iotest"

	"github.com/frayrpc/fray/examples/wordcount/words"
	"github.com/frayrpc/fray/fray"
)

func TestWords(t *testing.T) {
	t.Parallel()
	longest := strings.Repeat("é", words.MaxRunes)
	for text, want := range map[string]words.Counts{
		"":                                    {},
		"x":                                   {"x": 1},
		"for i := range n { f(i, n-1) }":      {"for": 1, "i": 2, "range": 1, "n": 2, "f": 1},
		"x_1 _ 1x 0xff 2":                     {"x_1": 1, "_": 1},
		"größe\xff\xfegröße größe\n":          {"größe": 3},
		longest + " " + longest + "e\n" + "e": {longest: 1, "e": 1},
	} {
		got := make(words.Counts)
		if err := got.Add(iotest.OneByteReader(strings.NewReader(text))); err != nil || !maps.Equal(got, want) {
			t.Errorf("%q: got %v, %v, want %v", text, got, err, want)
		}
	}
	broken := errors.New("broken")
	if err := (words.Counts{}).Add(iotest.ErrReader(broken)); !errors.Is(err, broken) {
		t.Errorf("got %v", err)
	}
}

func TestSummary(t *testing.T) {
	t.Parallel()
	counts := words.Counts{"many": 100}
	for i := range 30 {
		counts[fmt.Sprintf("w%02d", i)] = 1 + i%3
	}
	s := counts.Summary()
	want := []words.Word{
		{"many", 100},
		{"w02", 3},
		{"w05", 3},
		{"w08", 3},
		{"w11", 3},
		{"w14", 3},
		{"w17", 3},
		{"w20", 3},
		{"w23", 3},
		{"w26", 3},
	}
	if s.Words != 160 || s.Distinct != 31 || !slices.Equal(s.Top, want) {
		t.Errorf("got %+v", s)
	}
	other := s
	other.Top = append(slices.Clone(s.Top[:9]), words.Word{Text: "w29", Count: 3})
	same := counts.Summary()
	if !s.Equal(same) || s.Equal(other) ||
		s.Equal(words.Summary{Words: 160, Top: s.Top}) || s.Equal(words.Summary{Distinct: 31, Top: s.Top}) {
		t.Error("Equal does not say what is the same")
	}
}

// local returns a context whose tasks run in this process.
func local(t *testing.T, kind fray.Kind) context.Context {
	t.Helper()
	jc, err := fray.NewJobContext(context.Background(), kind)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := jc.Close(); err != nil {
			t.Error(err)
		}
	})
	return fray.NewContext(t.Context(), jc)
}

// Any number of texts are added up, each once, by tasks that have at most FanIn below them.
func TestTreesOfAllSizes(t *testing.T) {
	t.Parallel()
	ctx := local(t, fray.KindThreadPool)
	for texts, merges := range map[int]int{
		0: 1, 1: 0, 2: 1, 7: 1, 8: 1, 9: 2, 15: 3, 16: 3, 63: 9, 64: 9, 65: 10, 100: 16,
	} {
		sum, err := words.Submit(ctx, func(yield func(fray.Ref[[]byte], error) bool) {
			for i := range texts {
				ref, err := fray.PutReader(ctx, strings.NewReader(fmt.Sprintf("all w%d", i)))
				if !yield(ref, err) {
					return
				}
			}
		})
		if err != nil {
			t.Fatal(err)
		}
		s, err := words.Summarize(ctx, sum.Total)
		distinct := texts
		if texts > 0 {
			distinct++
		}
		if err != nil || s.Words != 2*texts || s.Distinct != distinct || texts > 0 && s.Top[0].Count != texts {
			t.Errorf("%d texts: got %+v, %v", texts, s, err)
		}
		if sum.Counts != texts || sum.Merges != merges {
			t.Errorf("%d texts: %d tasks count and %d merge, want %d", texts, sum.Counts, sum.Merges, merges)
		}
	}
}

func source(text string) *fstest.MapFile { return &fstest.MapFile{Data: []byte(text)} }

func TestTreeOfFiles(t *testing.T) {
	t.Parallel()
	tree := words.Tree{TextBytes: 10, Dir: fstest.MapFS{
		"a.go":        source("one"), // No line end: the next file begins a word.
		"b/c.go":      source("two three"),
		"b/d.go":      source(""),
		"b/e.txt":     source("not this"),
		"b/f.go/g.go": source("a directory may be called so"),
		"h.go":        &fstest.MapFile{Data: []byte("i.go"), Mode: fs.ModeSymlink},
		"z.go":        source("last"),
	}}
	ctx := local(t, fray.KindSync)
	var texts []string
	for ref, err := range tree.Texts(ctx) {
		if err != nil {
			t.Fatal(err)
		}
		text, err := ref.Get(ctx)
		if err != nil {
			t.Fatal(err)
		}
		texts = append(texts, string(text))
	}
	if want := []string{"one\ntwo three\n", "\na directory may be called so\n", "last\n"}; !slices.Equal(texts, want) {
		t.Errorf("got %q, want %q", texts, want)
	}
	next, leave := iter.Pull2(tree.Texts(ctx))
	if _, err, ok := next(); err != nil || !ok {
		t.Errorf("got %v, %v", err, ok)
	}
	leave()
	counts, err := words.CountAll(tree)
	want := make(words.Counts)
	for _, word := range []string{"one", "two", "three", "a", "directory", "may", "be", "called", "so", "last"} {
		want[word] = 1
	}
	if err != nil || !maps.Equal(counts, want) {
		t.Errorf("got %v, %v", counts, err)
	}
}

// unreadable is a tree in which one file cannot be opened, or nothing be listed.
type unreadable struct {
	fs.FS

	name string
}

func (u unreadable) Open(name string) (fs.File, error) {
	if name == u.name {
		return nil, &fs.PathError{Op: "open", Path: name, Err: fs.ErrPermission}
	}
	return u.FS.Open(name)
}

func TestTreeThatCannotBeRead(t *testing.T) {
	t.Parallel()
	ctx := local(t, fray.KindSync)
	for _, name := range []string{"b.go", "."} {
		files := fstest.MapFS{"a.go": source("x"), "b.go": source("y"), "c.go": source("z")}
		tree := words.Tree{Dir: unreadable{files, name}}
		_, err := words.Submit(ctx, tree.Texts(ctx))
		_, alone := words.CountAll(tree)
		for _, err := range []error{err, alone} {
			if !errors.Is(err, fs.ErrPermission) || !strings.Contains(err.Error(), name) {
				t.Errorf("%s: got %v", name, err)
			}
		}
	}
}

// What counts a text may fail, and the sum tells of which task it was.
func TestATextThatIsGone(t *testing.T) {
	t.Parallel()
	ctx := local(t, fray.KindThreadPool)
	var texts iter.Seq2[fray.Ref[[]byte], error] = func(yield func(fray.Ref[[]byte], error) bool) {
		ref, err := fray.PutReader(ctx, strings.NewReader("x"))
		if !yield(ref, err) {
			return
		}
		ref.Size++ // Not what was put.
		yield(ref, nil)
	}
	sum, err := words.Submit(ctx, texts)
	if err != nil {
		t.Fatal(err)
	}
	_, err = words.Summarize(ctx, sum.Total)
	var e *fray.TaskError
	if !errors.As(err, &e) || e.Reason != fray.ReasonDependencyFailed || e.Cause == sum.Total.ID() {
		t.Errorf("got %+v", err)
	}
}

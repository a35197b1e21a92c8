package integration_test

import (
	"go/parser"
	"go/token"
	"io/fs"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
)

var (
	codeBlock = regexp.MustCompile("(?s)\n```.*?\n```")
	codeSpan  = regexp.MustCompile("`[^`\n]*`")
	// link is a Markdown link's target.
	link = regexp.MustCompile(`\]\(([^)\s]+)\)`)
	// namedPath is a path of the repository in a document, as code: `fray/core/dispatch.go`.
	namedPath = regexp.MustCompile("`((?:cmd|docs|examples|faults|fray|gen|integration|internal|proto|sim)/[\\w./-]+)`")
	// namedDocument is a document in a comment or a text of the sources, with its heading.
	namedDocument = regexp.MustCompile(`\bdocs/[\w./-]+\.(?:md|json)(?:#[\w-]+)?`)
	// namedFile is a file in a package comment.
	namedFile = regexp.MustCompile(`[\w./-]*\w\.(?:go|md|json|ya?ml|proto|txt|txtar)\b`)
	heading   = regexp.MustCompile(`(?m)^#+ +(.*?) *$`)
	noAnchor  = regexp.MustCompile(`[^\p{L}\p{N} _-]`)
)

// root is the repository.
const root = ".."

// Documents link and name only what exists, headings included.
func TestDocumentsNameWhatExists(t *testing.T) {
	t.Parallel()
	links := 0
	for _, path := range sources(t, ".md") {
		text := codeBlock.ReplaceAllString(read(t, path), "")
		for _, m := range link.FindAllStringSubmatch(codeSpan.ReplaceAllString(text, ""), -1) {
			if strings.Contains(m[1], "://") {
				continue
			}
			links++
			target := filepath.Join(filepath.Dir(path), m[1])
			if strings.HasPrefix(m[1], "#") {
				target = path + m[1]
			}
			if !exists(t, target) {
				t.Errorf("%s links %s, which does not exist", path, m[1])
			}
		}
		for _, m := range namedPath.FindAllStringSubmatch(text, -1) {
			if !exists(t, filepath.Join(root, m[1])) {
				t.Errorf("%s names %s, which does not exist", path, m[1])
			}
		}
	}
	if links < 50 {
		t.Errorf("the documents have %d links: does this test still read them?", links)
	}
}

// Sources name only documents that exist, and package comments only files that do.
func TestSourcesNameWhatExists(t *testing.T) {
	t.Parallel()
	documents, files := 0, 0
	for _, path := range sources(t, ".go") {
		text := read(t, path)
		for _, name := range namedDocument.FindAllString(text, -1) {
			documents++
			if !exists(t, filepath.Join(root, name)) {
				t.Errorf("%s names %s, which does not exist", path, name)
			}
		}
		file, err := parser.ParseFile(token.NewFileSet(), path, text, parser.ParseComments|parser.PackageClauseOnly)
		if err != nil {
			t.Fatal(err)
		}
		for _, name := range namedFile.FindAllString(file.Doc.Text(), -1) {
			files++
			if !exists(t, filepath.Join(filepath.Dir(path), name)) && !exists(t, filepath.Join(root, name)) {
				t.Errorf("the package comment in %s names %s, which does not exist", path, name)
			}
		}
	}
	if documents == 0 || files == 0 {
		t.Errorf("%d documents and %d files are named: does this test still read the sources?", documents, files)
	}
}

// sources returns the files with an extension that are written by hand.
func sources(t *testing.T, extension string) (paths []string) {
	t.Helper()
	err := filepath.WalkDir(root, func(path string, entry fs.DirEntry, err error) error {
		name := entry.Name()
		switch {
		case err != nil:
			return err
		case entry.IsDir() && path != root && (strings.HasPrefix(name, ".") || name == "gen" || name == "testdata"):
			return fs.SkipDir
		case !entry.IsDir() && filepath.Ext(name) == extension:
			paths = append(paths, path)
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	return paths
}

// exists says whether there is a file or a directory, and in a document the heading behind "#".
func exists(t *testing.T, target string) bool {
	t.Helper()
	path, anchor, _ := strings.Cut(target, "#")
	if _, err := os.Stat(path); err != nil {
		return false
	}
	if anchor == "" {
		return true
	}
	for _, m := range heading.FindAllStringSubmatch(codeBlock.ReplaceAllString(read(t, path), ""), -1) {
		if strings.ReplaceAll(noAnchor.ReplaceAllString(strings.ToLower(m[1]), ""), " ", "-") == anchor {
			return true
		}
	}
	return false
}

func read(t *testing.T, path string) string {
	t.Helper()
	text, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	return string(text)
}

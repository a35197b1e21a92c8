package scenario

import (
	"github.com/goccy/go-yaml/ast"

	"github.com/frayrpc/fray/internal/yamltree"
)

// parseYAML returns the one document of a text, or nil after it has reported why there is none.
func (s *source) parseYAML(text []byte) ast.Node {
	if len(text) > MaxFileBytes {
		s.add(place{}, Complain("the file has %d bytes, more than %d", len(text), MaxFileBytes).Suggest("split it"))
		return nil
	}
	bodies, problem := yamltree.Parse(text)
	switch {
	case problem != nil:
		s.add(problem.Place, &Complaint{problem.Text, problem.Advice})
	case len(bodies) == 0:
		s.add(place{}, Complain("the file is empty").Suggest("start with apiVersion: %s", APIVersion))
	case len(bodies) > 1:
		s.add(yamltree.Start(bodies[1]), Complain("the file has a second document").Suggest("keep one scenario in a file"))
	default:
		return bodies[0]
	}
	return nil
}

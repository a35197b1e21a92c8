package scenario

// Names is one name or a list of them.
type Names []string

func (Names) schema() map[string]any {
	name := map[string]any{"type": "string", "minLength": 1}
	return map[string]any{"anyOf": []any{
		name,
		map[string]any{"type": "array", "items": name, "minItems": 1, "maxItems": MaxListed},
	}}
}

// namesOf returns what a function calls each item of a list.
func namesOf[T any](list []T, name func(*T) string) []string {
	var names []string
	for i := range list {
		names = append(names, name(&list[i]))
	}
	return names
}

// first returns the first item of a list that is as a function says, or nil.
func first[T any](list []T, is func(*T) bool) *T {
	for i := range list {
		if is(&list[i]) {
			return &list[i]
		}
	}
	return nil
}

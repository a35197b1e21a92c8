// Package enum names the values of small enumerations.
package enum

// Name returns the name of a value, by its place among the names.
func Name[T ~uint8](names []string, v T) string {
	if int(v) < len(names) {
		return names[v]
	}
	return "UNKNOWN"
}

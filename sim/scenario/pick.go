package scenario

import "strconv"

// A Pick is how many of several are chosen.
type Pick struct {
	// All of them; N is 0 then.
	All bool
	N   int
}

// UnmarshalText reads what String writes, and the other forms that a file may have.
func (p *Pick) UnmarshalText(raw []byte) error {
	text := string(raw)
	switch text {
	case "one":
		*p = Pick{N: 1}
		return nil
	case "all":
		*p = Pick{All: true}
		return nil
	}
	n, err := strconv.Atoi(text)
	if err != nil || n < 1 {
		return Complain("%q does not say how many to pick", text).Suggest("write one, all, or a number from 1")
	}
	*p = Pick{N: n}
	return nil
}

func (p Pick) String() string {
	switch {
	case p.All:
		return "all"
	case p.N == 1:
		return "one"
	}
	return strconv.Itoa(p.N)
}

func (Pick) schema() map[string]any {
	return map[string]any{"anyOf": []any{
		map[string]any{"enum": []any{"one", "all"}},
		map[string]any{"type": "integer", "minimum": 1},
	}}
}

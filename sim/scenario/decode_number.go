package scenario

import (
	"errors"
	"math"
	"reflect"
	"strconv"
	"strings"

	"github.com/goccy/go-yaml/ast"
)

func (d *decoder) integer(node ast.Node, v reflect.Value, path string, f *field) {
	n, ok := node.(*ast.IntegerNode)
	if !ok {
		d.fail(node, Complain("%s is %s, not a whole number", path, kindOf(node)).Suggest("write a number without unit and quotes"))
		return
	}
	value, c := wholeNumber(n.GetToken().Value, path)
	if c != nil {
		d.fail(node, c)
		return
	}
	v.SetInt(value)
	d.bounds(node, float64(value), path, f)
}

func (d *decoder) number(node ast.Node, v reflect.Value, path string, f *field) {
	var value float64
	switch n := node.(type) {
	case *ast.FloatNode:
		// Its text, because the parser takes one that is out of range for the greatest there is.
		parsed, err := strconv.ParseFloat(strings.ReplaceAll(n.GetToken().Value, "_", ""), 64)
		if err != nil || math.IsInf(parsed, 0) || math.IsNaN(parsed) {
			d.fail(node, Complain("%s %s is out of range", path, n.GetToken().Value).Suggest("write a smaller number"))
			return
		}
		value = parsed
	case *ast.IntegerNode:
		whole, c := wholeNumber(n.GetToken().Value, path)
		if c != nil {
			d.fail(node, c)
			return
		}
		value = float64(whole)
	default:
		d.fail(node, Complain("%s is %s, not a number that has a value", path, kindOf(node)).Suggest("write a number without unit and quotes"))
		return
	}
	v.SetFloat(value)
	d.bounds(node, value, path, f)
}

// wholeNumber reads an integer of YAML. One that starts with 0 means one thing to version 1.1 and
// another to 1.2 and to people.
func wholeNumber(text, path string) (int64, *Complaint) {
	digits := strings.ReplaceAll(text, "_", "")
	bare := strings.TrimLeft(digits, "+-")
	if len(bare) > 1 && bare[0] == '0' && '0' <= bare[1] && bare[1] <= '9' {
		sign := digits[:len(digits)-len(bare)]
		decimal := strings.TrimLeft(bare[:len(bare)-1], "0") + bare[len(bare)-1:]
		c := Complain("%s %s can be read in two ways", path, text)
		if octal, err := strconv.ParseInt(digits, 8, 64); err == nil && octal != 0 {
			return 0, c.Suggest("write %s%s, or 0o%s if you mean %d", sign, decimal, strings.TrimLeft(bare, "0"), octal)
		}
		return 0, c.Suggest("write %s%s", sign, decimal)
	}
	value, err := strconv.ParseInt(digits, 0, 64)
	switch {
	case errors.Is(err, strconv.ErrRange):
		return 0, Complain("%s is out of range", path).Suggest("write a smaller number")
	case err != nil:
		return 0, Complain("%s %s is not a whole number", path, text).Suggest("write it with decimal digits")
	}
	return value, nil
}

package scenario

import (
	"cmp"
	"errors"
	"fmt"
	"reflect"
	"slices"
	"strconv"
	"strings"

	"github.com/goccy/go-yaml/ast"
	"github.com/goccy/go-yaml/parser"

	"github.com/frayrpc/fray/internal/yamltree"
)

// A decoder reads YAML into the types of this package. It goes on behind an error, so that all are
// found.
type decoder struct{ *source }

// fail reports that a node is not what it should be.
func (d *decoder) fail(node ast.Node, c *Complaint) { d.add(yamltree.Start(node), c) }

// decode reads a node into a value that can be set. The path names the value in messages.
func (d *decoder) decode(node ast.Node, v reflect.Value, path string, f *field) {
	if !d.plain(node) {
		return
	}
	d.values[v.Addr().Interface()] = yamltree.Start(node)
	if s, ok := v.Addr().Interface().(scalar); ok {
		if text, ok := d.scalarText(node, path); ok {
			var c *Complaint
			if errors.As(s.UnmarshalText([]byte(text)), &c) {
				d.fail(node, c)
			}
		}
		return
	}
	if names, ok := v.Addr().Interface().(*Names); ok {
		d.names(node, names, path)
		return
	}
	switch v.Kind() {
	case reflect.Pointer:
		v.Set(reflect.New(v.Type().Elem()))
		d.decode(node, v.Elem(), path, f)
	case reflect.Struct:
		d.section(node, v, path)
	case reflect.Slice:
		d.list(node, v, path, f)
	case reflect.Map:
		d.table(node, v, path)
	case reflect.String:
		d.text(node, v, path, f)
	case reflect.Bool:
		if b, ok := node.(*ast.BoolNode); ok {
			v.SetBool(b.Value)
		} else {
			d.fail(node, Complain("%s is %s, not true or false", path, kindOf(node)).Suggest("write true or false"))
		}
	case reflect.Int, reflect.Int64:
		d.integer(node, v, path, f)
	case reflect.Float64:
		d.number(node, v, path, f)
	default:
		panic("scenario: no way to read a " + v.Type().String())
	}
}

// plain refuses what YAML has and scenarios have no use for.
func (d *decoder) plain(node ast.Node) bool {
	switch node.(type) {
	case *ast.AnchorNode, *ast.AliasNode, *ast.MergeKeyNode:
		d.fail(node, Complain("anchors, aliases and merge keys are not allowed").Suggest("write the value out"))
	case *ast.TagNode:
		d.fail(node, Complain("tags are not allowed").Suggest("remove the tag"))
	case *ast.DirectiveNode:
		d.fail(node, Complain("directives are not allowed").Suggest("remove the line"))
	default:
		return true
	}
	return false
}

// section reads a mapping into a struct.
func (d *decoder) section(node ast.Node, v reflect.Value, path string) {
	keys := keysOf(v)
	given := make([]bool, len(keys))
	entries, ok := d.entries(node, path)
	for _, entry := range entries {
		at := yamltree.At(entry.Key.GetToken())
		key := keyText(entry.Key)
		i := slices.IndexFunc(keys, func(k keyed) bool { return k.key == key })
		if i < 0 {
			known := namesOf(keys, func(k *keyed) string { return k.key })
			where := cmp.Or(path, "a scenario")
			c := Complain("%s has no key %q", where, key)
			if len(known) == 0 {
				c = c.Suggest("write {}")
			}
			d.add(at, c.SuggestName(key, known))
			continue
		}
		k := &keys[i]
		given[i] = true
		d.keys[k.value.Addr().Interface()] = at
		d.decode(entry.Value, k.value, join(path, k.key), &k.field)
	}
	if !ok {
		return
	}
	for i := range keys {
		if given[i] {
			continue
		}
		k := &keys[i]
		if k.required {
			where := cmp.Or(path, "the scenario")
			d.fail(node, Complain("%s has no %s", where, k.key).Suggest("add %s: %s", k.key, strings.TrimRight("... # "+d.subject.Text(k.doc), ".")))
		}
		d.setDefault(k.value, &k.field)
	}
}

func join(path, key string) string {
	if path == "" {
		return key
	}
	return path + "." + key
}

func keyText(key ast.MapKeyNode) string {
	if t := key.GetToken(); t != nil {
		return t.Value
	}
	return ""
}

// entries returns what a mapping has, and whether it is one.
func (d *decoder) entries(node ast.Node, path string) ([]*ast.MappingValueNode, bool) {
	m, ok := node.(ast.MapNode)
	if !ok {
		path = cmp.Or(path, "a scenario")
		c := Complain("%s is %s, not a section", path, kindOf(node))
		if node.Type() == ast.NullType {
			c = c.Suggest("indent its keys below it, or write {}")
		} else {
			c = c.Suggest("write its keys below it, each with a colon and a value")
		}
		d.fail(node, c)
		return nil, false
	}
	var entries []*ast.MappingValueNode
	for it := m.MapRange(); it.Next(); {
		entry := it.KeyValue()
		if _, merge := entry.Key.(*ast.MergeKeyNode); merge {
			d.add(yamltree.At(entry.Key.GetToken()), Complain("anchors, aliases and merge keys are not allowed").Suggest("write the value out"))
			continue
		}
		entries = append(entries, entry)
	}
	return entries, true
}

// list reads a sequence into a slice.
func (d *decoder) list(node ast.Node, v reflect.Value, path string, f *field) {
	sequence, ok := node.(*ast.SequenceNode)
	if !ok {
		d.fail(node, Complain("%s is %s, not a list", path, kindOf(node)).Suggest("start each item with a dash"))
		return
	}
	switch {
	case len(sequence.Values) > MaxListed:
		d.fail(node, Complain("%s has %d items, more than %d", path, len(sequence.Values), MaxListed))
		return
	case len(sequence.Values) < f.minItems:
		d.fail(node, Complain("%s has no items", path).Suggest("%s", f.doc))
		return
	}
	// All at once: the addresses of items must not change.
	v.Set(reflect.MakeSlice(v.Type(), len(sequence.Values), len(sequence.Values)))
	item := &field{enum: f.enum, doc: f.doc}
	for i, value := range sequence.Values {
		d.decode(value, v.Index(i), fmt.Sprintf("%s[%d]", path, i), item)
	}
}

// names reads one name or a list of them.
func (d *decoder) names(node ast.Node, names *Names, path string) {
	values := []ast.Node{node}
	if sequence, ok := node.(*ast.SequenceNode); ok {
		values = sequence.Values
		if len(values) == 0 || len(values) > MaxListed {
			d.fail(node, Complain("%s has %d items", path, len(values)).Suggest("list from 1 to %d names", MaxListed))
			return
		}
	}
	*names = make(Names, len(values))
	for i, value := range values {
		d.decode(value, reflect.ValueOf(&(*names)[i]).Elem(), path, &field{required: true})
	}
}

// maxTable is the most entries of a map, as the wire has it.
const maxTable = 16

// table reads a mapping into a map from texts.
func (d *decoder) table(node ast.Node, v reflect.Value, path string) {
	entries, ok := d.entries(node, path)
	if !ok {
		return
	}
	if len(entries) > maxTable {
		d.fail(node, Complain("%s has %d entries, more than %d", path, len(entries), maxTable))
		return
	}
	v.Set(reflect.MakeMapWithSize(v.Type(), len(entries)))
	for _, entry := range entries {
		key := keyText(entry.Key)
		if key == "" || len(key) > 64 {
			d.add(yamltree.At(entry.Key.GetToken()), Complain("key %q of %s does not have from 1 to 64 characters", key, path))
			continue
		}
		value := reflect.New(v.Type().Elem()).Elem()
		d.decode(entry.Value, value, join(path, key), &field{min: new(float64), max: new(maxAmount)})
		v.SetMapIndex(reflect.ValueOf(key), value)
	}
}

// maxAmount is the most of a resource, as the wire has it.
var maxAmount = 1e12

// scalarText returns the text of a node that is one word.
func (d *decoder) scalarText(node ast.Node, path string) (string, bool) {
	switch n := node.(type) {
	case *ast.NullNode:
		d.fail(node, Complain("%s has no value", path).Suggest("write one, or remove the key"))
		return "", false
	case *ast.LiteralNode:
		return strings.TrimSpace(n.Value.Value), true
	case ast.ScalarNode:
		return strings.TrimSpace(n.GetToken().Value), true
	}
	d.fail(node, Complain("%s is %s, not a single value", path, kindOf(node)).Suggest("write one value"))
	return "", false
}

func (d *decoder) text(node ast.Node, v reflect.Value, path string, f *field) {
	switch n := node.(type) {
	case *ast.StringNode:
		v.SetString(n.Value)
	case *ast.LiteralNode:
		v.SetString(n.Value.Value)
	case *ast.NullNode:
		d.fail(node, Complain("%s has no value", path).Suggest("write one, or remove the key"))
		return
	case *ast.IntegerNode, *ast.FloatNode, *ast.BoolNode, *ast.InfinityNode, *ast.NanNode:
		d.fail(node, Complain("%s is %s, not a text", path, kindOf(node)).Suggest("put it in quotes: %q", node.GetToken().Value))
		return
	default:
		d.fail(node, Complain("%s is %s, not a text", path, kindOf(node)).Suggest("write one text"))
		return
	}
	switch text := v.String(); {
	case len(f.enum) > 0 && !d.subject.allows(f.enum, text):
		d.fail(node, Complain("%s cannot be %q", path, text).SuggestName(text, d.subject.enum(f.enum)))
	case strings.TrimSpace(text) == "" && (f.required || f.pattern != nil):
		d.fail(node, Complain("%s is empty", path).Suggest("write one"))
	case f.pattern != nil && !f.pattern.MatchString(text):
		d.fail(node, Complain("%s %q is not well-formed", path, text).Suggest("use letters, digits and single dashes between them, such as %s", f.example))
	}
}

func (d *decoder) bounds(node ast.Node, value float64, path string, f *field) {
	show := func(n float64) string { return strconv.FormatFloat(n, 'f', -1, 64) }
	switch {
	case f.min != nil && value < *f.min:
		d.fail(node, Complain("%s %s is less than %s", path, node.GetToken().Value, show(*f.min)).Suggest("write %s or more", show(*f.min)))
	case f.max != nil && value > *f.max:
		d.fail(node, Complain("%s %s is more than %s", path, node.GetToken().Value, show(*f.max)).Suggest("write %s or less", show(*f.max)))
	}
}

// setDefault gives a field what it means when its key is absent.
func (d *decoder) setDefault(v reflect.Value, f *field) {
	switch initial := d.subject.Text(f.initial); {
	case initial != "":
		file, err := parser.ParseBytes([]byte(initial), 0)
		if err != nil {
			panic("scenario: default of " + f.key + ": " + err.Error())
		}
		quiet := &decoder{newSource("default of "+f.key, []byte(initial), d.subject)}
		quiet.decode(file.Docs[0].Body, v, f.key, f)
		if err := quiet.err(); err != nil {
			panic("scenario: " + err.Error())
		}
	case isSection(v.Type()):
		d.setDefaults(v)
	}
}

// setDefaults gives all fields of a section what they mean when their keys are absent.
func (d *decoder) setDefaults(v reflect.Value) {
	for _, k := range keysOf(v) {
		d.setDefault(k.value, &k.field)
	}
}

// kindOf names what a node is, for people.
func kindOf(node ast.Node) string {
	switch node.Type() {
	case ast.NullType:
		return "empty"
	case ast.BoolType:
		return "true or false"
	case ast.IntegerType, ast.FloatType, ast.InfinityType, ast.NanType:
		return "a number"
	case ast.StringType, ast.LiteralType:
		return "a text"
	case ast.SequenceType:
		return "a list"
	case ast.MappingType, ast.MappingValueType:
		return "a section"
	}
	return "something else"
}

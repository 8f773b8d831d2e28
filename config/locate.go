package config

import (
	"fmt"
	"strings"

	"github.com/pelletier/go-toml/v2/unstable"
)

// lines maps the path of every key and table of a TOML file, such as
// "unit[1].points", to its line. The decoder checks syntax and types and says
// where; what the values mean is checked later and needs this to say it too.
type lines map[string]int

func locate(text []byte) lines {
	ls := lines{}
	var p unstable.Parser
	p.Reset(text)
	var table string
	counts := map[string]int{} // entries seen of each array of tables
	for p.NextExpression() {
		e := p.Expression()
		switch e.Kind {
		case unstable.Table:
			table = absolute(keys(e.Key()), counts)
			ls[table] = lineOf(&p, e)
		case unstable.ArrayTable:
			name := trimIndex(absolute(keys(e.Key()), counts))
			if counts[name] == 0 {
				ls[name] = lineOf(&p, e)
			}
			counts[name]++
			table = fmt.Sprintf("%s[%d]", name, counts[name]-1)
			ls[table] = lineOf(&p, e)
		case unstable.KeyValue:
			path := strings.Join(keys(e.Key()), ".")
			if table != "" {
				path = table + "." + path
			}
			ls[path] = lineOf(&p, e)
		}
	}
	return ls
}

// line returns the line of a path, or of the nearest table around it.
func (ls lines) line(path string) int {
	for path != "" {
		if n, ok := ls[path]; ok {
			return n
		}
		path = path[:max(strings.LastIndexByte(path, '.'), 0)]
	}
	return 1
}

func keys(it unstable.Iterator) (parts []string) {
	for it.Next() {
		parts = append(parts, string(it.Node().Data))
	}
	return parts
}

// absolute joins the parts of a table's name; a part that is an array of
// tables means its latest entry.
func absolute(parts []string, counts map[string]int) string {
	var path string
	for _, part := range parts {
		if path != "" {
			path += "."
		}
		path += part
		if n := counts[path]; n > 0 {
			path = fmt.Sprintf("%s[%d]", path, n-1)
		}
	}
	return path
}

// trimIndex takes the index off the end of a path.
func trimIndex(path string) string {
	if strings.HasSuffix(path, "]") {
		return path[:strings.LastIndexByte(path, '[')]
	}
	return path
}

// lineOf finds the line of an expression through its first key, since tables
// and key-values carry no position of their own.
func lineOf(p *unstable.Parser, e *unstable.Node) int {
	it := e.Key()
	if !it.Next() {
		return 1
	}
	return p.Shape(it.Node().Raw).Start.Line
}

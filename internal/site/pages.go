package site

import (
	"fmt"
	"html/template"
	"strings"
)

// longList is a list that has as many pages as it needs, at least one.
type longList struct {
	kind  string                        // of the pages
	path  func(number int) string       // of a page; the first has the number 1
	items map[*language][]template.HTML // as many in each language
}

// part is what one page has of a long list.
type part struct {
	Items template.HTML
	Sum   int        // of the items of all pages
	Pages []pageLink // nil if there is one only
}

type pageLink struct {
	Number  int
	Path    string
	Current bool
}

// mostItemBytes is how many bytes of HTML the items of a page may have: so no page is larger
// than 200 kB.
const mostItemBytes = 150_000

// longList writes the pages of a list.
func (w *Writer) longList(list longList, about about, view func(*language, part) any) error {
	begins, sum := list.split()
	for i, begin := range begins {
		var links []pageLink
		for j := range begins {
			if len(begins) > 1 {
				links = append(links, pageLink{j + 1, list.path(j + 1), j == i})
			}
		}
		end := sum
		if i+1 < len(begins) {
			end = begins[i+1]
		}
		err := w.page(list.path(i+1), list.kind, about, func(l *language) any {
			return view(l, part{joined(list.items[l][begin:end]), sum, links})
		})
		if err != nil {
			return err
		}
	}
	return nil
}

// split gives the number of the first item of each page, which is the same in all languages,
// and how many items there are.
func (list *longList) split() (begins []int, sum int) {
	largest := []int{}
	for _, items := range list.items {
		largest = append(largest, make([]int, len(items)-len(largest))...)
		for i, item := range items {
			largest[i] = max(largest[i], len(item))
		}
	}
	begins = []int{0}
	bytes := 0
	for i, n := range largest {
		if bytes+n > mostItemBytes && bytes > 0 {
			begins, bytes = append(begins, i), 0
		}
		bytes += n
	}
	return begins, len(largest)
}

func joined(items []template.HTML) template.HTML {
	var all strings.Builder
	for _, item := range items {
		all.WriteString(string(item))
	}
	return template.HTML(all.String())
}

// numbered is the path of a page of several: the first one has no number.
func numbered(path string, number int) string {
	if number == 1 {
		return path
	}
	return fmt.Sprintf("%s.%d.html", strings.TrimSuffix(path, ".html"), number)
}

// fitting are the first rows that have at most so many bytes of HTML, and the number of those
// that are left out. texts are those of a row.
func fitting[T any](rows []T, most int, texts func(T) []string) (shown []T, more int) {
	const markup = 120
	for i, row := range rows {
		most -= markup
		for _, text := range texts(row) {
			most -= len(template.HTMLEscapeString(text))
		}
		if most < 0 {
			return rows[:i], len(rows) - i
		}
	}
	return rows, 0
}

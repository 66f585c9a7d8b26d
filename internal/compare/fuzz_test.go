package compare

import (
	"encoding/json"
	"testing"
)

// Any document equals itself. What is added from one document to another is removed in the
// other direction.
func FuzzJSONChanges(f *testing.F) {
	f.Add(`{"needs":{"db":{"version":"1"}}}`, `{"needs":{}}`)
	f.Add(`{"routes":[{"p":"/"},{"p":"/a"}]}`, `{"routes":[{"p":"/a"},{"p":1e999}]}`)
	f.Add(`{"a":null,"b":[[]],"c":"\u001b[31m"}`, `[]`)
	f.Fuzz(func(t *testing.T, one, other string) {
		from, to := json.RawMessage(one), json.RawMessage(other)
		if same := jsonChanges(from, from); len(same) > 0 {
			t.Errorf("%s differs from itself: %v", one, same)
		}
		there, back := counted(jsonChanges(from, to)), counted(jsonChanges(to, from))
		if there[Added] != back[Removed] || there[Removed] != back[Added] || there[Changed] != back[Changed] {
			t.Errorf("%s and %s: %v one way, %v the other", one, other, there, back)
		}
		for _, change := range jsonChanges(from, to) {
			valueText(change.From)
			valueText(change.To)
		}
	})
}

func counted(changes []Change) map[Edit]int {
	counts := map[Edit]int{}
	for _, change := range changes {
		counts[change.Change]++
	}
	return counts
}

package scan

// Added returns the findings of an image that have at least a severity, that no statement
// settles, and that a former image does not have. Two findings are the same if they have an ID
// in common and their components have the same name, even if the version or the place differs.
func Added(former, image Image, gate Severity) []Finding {
	type key struct{ id, component string }
	known := map[key]bool{}
	for _, f := range former.Findings {
		if f.Settled() {
			continue
		}
		for _, id := range f.IDs() {
			known[key{id, f.Component.Name}] = true
		}
	}
	var added []Finding
	for _, f := range image.Findings {
		isNew := f.Severity.AtLeast(gate) && !f.Settled()
		for _, id := range f.IDs() {
			isNew = isNew && !known[key{id, f.Component.Name}]
		}
		if isNew {
			added = append(added, f)
		}
	}
	return added
}

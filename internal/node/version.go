package node

import "runtime/debug"

// linked is the version that "make dist" links into the programs, "" elsewhere.
var linked string //nolint:gochecknoglobals // the linker can set nothing else

// Version returns the version of the program: the one that was linked into it, the
// module version of a release, or the commit it was built from.
func Version(read func() (*debug.BuildInfo, bool)) string { return versionOf(linked, read) }

func versionOf(linked string, read func() (*debug.BuildInfo, bool)) string {
	info, ok := read()
	switch {
	case !ok:
		return "unknown"
	case linked != "":
		return linked + " " + info.GoVersion
	}
	version := info.Main.Version
	if version == "" || version == "(devel)" {
		version = "development"
	}
	for _, s := range info.Settings {
		if s.Key == "vcs.revision" && len(s.Value) >= 12 {
			return version + " " + s.Value[:12] + " " + info.GoVersion
		}
	}
	return version + " " + info.GoVersion
}

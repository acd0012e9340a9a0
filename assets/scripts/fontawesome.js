// In place of the theme's file of this name, which is 1.5 MB and draws each icon as SVG: its fonts have them too.

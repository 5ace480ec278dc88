-- busted's configuration for `tend test`: none of the folder in which it is called counts.
return {}

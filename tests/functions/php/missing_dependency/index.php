<?php
// Fails while it is loaded: the class it needs is not in the package.

$client = new Vendor\Client\ThatIsNotThere();

function main_handler($event, $context)
{
    return $GLOBALS['client']->answer();
}

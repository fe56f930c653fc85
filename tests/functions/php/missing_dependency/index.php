<?php
/* Wants a class that nobody brought. */

$client = new A\Class\That\Is\Not\There();

function main_handler($event, $context)
{
    return $event;
}

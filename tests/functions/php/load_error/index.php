<?php
/* Fails while it is loaded. */

throw new UnexpectedValueError('while loading');

class UnexpectedValueError extends Error
{
}

function main_handler($event, $context)
{
    return $event;
}
